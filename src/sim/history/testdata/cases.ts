/**
 * Small histories of one stream, and which rules they break.
 * @module
 */
import { appendCases, conditionCases } from "./append-cases.ts";
import type { Case } from "./case.ts";
import { fenceCases, producerCases } from "./producer-cases.ts";
import { orderCases, readCases } from "./read-cases.ts";

export const cases: readonly Case[] = [
  ...appendCases,
  ...conditionCases,
  ...fenceCases,
  ...producerCases,
  ...readCases,
  ...orderCases,
];
