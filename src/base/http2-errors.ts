/**
 * What errors of HTTP/2 say of a request, by the names that the runtimes give them.
 * @module
 */

/**
 * Whether an error, or what caused it, says that the other side did not look at the request: it had said before that it takes
 * no more, and says so of this one (RFC 9113, section 8.7). So it is surely without effect.
 */
export function wasNotTaken(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = "code" in error ? error.code : undefined;
  const isRefused = code === "ERR_HTTP2_STREAM_ERROR" && error.message.includes("NGHTTP2_REFUSED_STREAM");
  // So Bun names the refusal, and all of them a request that is made when that is known.
  return isRefused || code === "ERR_HTTP2_GOAWAY_SESSION" || wasNotTaken(error.cause);
}
