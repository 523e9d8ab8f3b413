/** How tlsboot calls itself to an API. */
import { TLSBOOT_VERSION } from "../core/version.ts";

/** The User-Agent header; Kubernetes takes what stands before the slash as field manager. */
export const USER_AGENT = `tlsboot/${TLSBOOT_VERSION}`;
