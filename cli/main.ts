/**
 * Starts the program from its sources or from the npm package; the released file starts with `program.ts`. The program is
 * imported only after the check that this version of Node can parse it, and after the compile cache is enabled.
 */
import process from "node:process";
import { enableCompileCache } from "./compile_cache.ts";
import { findNodeFault } from "./node_version.ts";

const fault = findNodeFault(process.versions);
if (fault === undefined) {
  enableCompileCache(process);
  // Not awaited: an error ends the process anyway, and no source uses top-level await.
  import("./program.ts");
} else {
  process.stderr.write(`tlsboot: error: ${fault}\n`);
  process.exitCode = 1;
}
