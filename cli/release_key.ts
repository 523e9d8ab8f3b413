/** The public key of releases. */

/**
 * The minisign public key that verifies releases. `deno task sign --adopt` writes it here and into the README, and
 * `deno task sign` fails without it. Undefined until the first release.
 */
export const RELEASE_KEY: string | undefined = undefined;
