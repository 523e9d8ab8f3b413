/**
 * Starts the program from its sources or from the npm package; the released file begins with `program.ts`. Nothing of the
 * program is imported before the version of Node is known to be new enough to parse it, and before what is compiled is
 * kept.
 */
import process from "node:process";
import { keepCompiled } from "./compile_cache.ts";
import { findNodeFault } from "./node_version.ts";

const fault = findNodeFault(process.versions);
if (fault === undefined) {
  keepCompiled(process);
  // Not awaited: what it throws ends the process, and no source awaits at top level.
  import("./program.ts");
} else {
  process.stderr.write(`tlsboot: error: ${fault}\n`);
  process.exitCode = 1;
}
