/** Runs an approver for any cluster, with the kubeconfig that KUBECONFIG names, until it is interrupted. */
import process from "node:process";
import { connectToCluster } from "@tlsboot/tlsboot";
import { runApprover } from "./approver.ts";

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());
await using cluster = await connectToCluster(process.env["KUBECONFIG"] ?? "");
console.log(`working for ${cluster.url}`);
await runApprover(cluster, stop.signal);
