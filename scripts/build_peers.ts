/** `deno task peers`: builds and installs the peers of the interoperability suite. */
import process from "node:process";
import { ensureNpmPeers } from "./npm_peers.ts";
import { ensurePeers } from "./peers.ts";

ensurePeers(process.cwd()).then(ensureNpmPeers).then(
  () => process.stdout.write("peers are built\n"),
  (error: unknown) => {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    process.exit(1);
  },
);
