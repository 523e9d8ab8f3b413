/** The e-mail address of the maintainers, also for reports of vulnerabilities; empty until the owner sets it. */
export const CONTACT: string = "";
