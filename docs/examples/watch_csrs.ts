/** Prints the certificate signing requests of a cluster, now and whenever one changes, until it is interrupted. */
import process from "node:process";
import { connectToCluster, getCsrPhase } from "@tlsboot/tlsboot";

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
await using cluster = await connectToCluster(process.env["KUBECONFIG"] ?? "");
try {
  for await (const change of cluster.csrs.changes(stop.signal)) {
    if (change.kind === "changed") console.log(change.object.metadata.name, getCsrPhase(change.object).kind);
  }
} catch (error) {
  if (!stop.signal.aborted) throw error;
}
