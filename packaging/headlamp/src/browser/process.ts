/** The part of `node:process` that modules read when they are loaded, in a browser: it is neither Node nor Deno. */
export const versions: Readonly<Record<string, string | undefined>> = {};

/** Files have no owners there. */
export const geteuid: (() => number) | undefined = undefined;
