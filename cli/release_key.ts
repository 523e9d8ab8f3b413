/** The public key of releases. */

/**
 * The minisign public key that releases are signed with. There is no release yet, so there is no key:
 * the first release writes the key here and into the README, and `deno task sign` then refuses any other.
 */
export const RELEASE_KEY: string | undefined = undefined;
