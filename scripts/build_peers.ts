/** `deno task peers`: builds the peers of the interoperability suite. */
import process from "node:process";
import { ensurePeers } from "./peers.ts";

ensurePeers(process.cwd()).then(() => process.stdout.write("peers are built\n"), (error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
