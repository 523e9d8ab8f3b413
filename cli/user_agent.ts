/** The name that tlsboot sends to API servers. */
import { TLSBOOT_VERSION } from "../core/version.ts";

/** The User-Agent header. Kubernetes uses the part before the slash as the field manager. */
export const USER_AGENT = `tlsboot/${TLSBOOT_VERSION}`;
