#!/usr/bin/env -S UV_THREADPOOL_SIZE=16 node
import { runProgram } from "./program.ts";

process.exit(await runProgram(process.argv.slice(2)));
