/** What only the owner of the project knows. Set it before the first release, and run `deno task docs`. */

/** The address of the repository on GitHub: `https://github.com/OWNER/NAME`. Empty until the owner sets it. */
export const ADDRESS: string = "";

/** The e-mail address of the maintainers, also for reports of vulnerabilities. Empty until the owner sets it. */
export const CONTACT: string = "";
