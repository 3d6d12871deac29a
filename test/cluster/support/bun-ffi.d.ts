/** The part of Bun's library that `tap-switch.ts` calls the system with. */
declare module "bun:ffi" {
  type Kind = "i32" | "u64" | "ptr" | "i64";
  export function dlopen<Names extends string>(
    library: string,
    symbols: Record<Names, { args: readonly Kind[]; returns: Kind }>,
  ): { readonly symbols: Record<Names, (...args: (number | bigint | NodeJS.TypedArray)[]) => number> };
}
