/** `deno task peers [programs]` builds the peers of the interoperability suite, and those of `programs` on request. */
import process from "node:process";
import { ensureNpmPeers } from "./npm.ts";
import { ensurePeers } from "./go.ts";

const use = process.argv[2] === "programs" ? "programs" : "suite";

ensurePeers(process.cwd(), use).then(ensureNpmPeers).then(
  () => process.stdout.write("peers are built\n"),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
