/** Flags of the commands that write bundles. */
import { directoryFlag } from "../framework/flags.ts";

/** The flag that also prints a bundle. */
export const QR_FLAG = directoryFlag({
  isCommandLineOnly: true,
  summary:
    "Also write the bundle as QR codes, as an HTML document in this folder, to be printed, and scanned in any order.",
});
