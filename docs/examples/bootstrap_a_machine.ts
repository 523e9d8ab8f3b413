/** Gives a machine its first certificate, as a kubelet obtains it, from a server in the same program. */
import { writeFile } from "node:fs/promises";
import { bootstrap, startTestServer } from "@tlsboot/tlsboot";

await using server = await startTestServer({ autoApprove: true });
await writeFile("bootstrap.kubeconfig", await server.createBootstrapKubeconfig(), { mode: 0o600 });
const { kind, pair } = await bootstrap({
  bootstrapKubeconfig: "bootstrap.kubeconfig",
  kubeconfig: "node-1/kubeconfig",
  nodeName: "node-1",
  waitSeconds: 60,
});
console.log(`${kind}: ${pair.leaf.subject.commonName}`);
