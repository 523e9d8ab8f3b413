/** kubectl's CSR commands, answer by answer; a real kube-apiserver 1.37.2 vouches for the table itself. */
import { mkdir } from "node:fs/promises";
import { test } from "node:test";
import { takeTurns } from "../runner/turns.ts";
import { startControlPlane } from "../support/interop/control_plane.ts";
import { THEMES } from "../support/interop/csr_commands/all.ts";
import { createKubectl } from "../support/interop/kubectl.ts";
import { runSteps } from "../support/interop/kubectl_steps.ts";
import { startInstance } from "../support/interop/instance.ts";

for (const { name, steps } of takeTurns(THEMES, ({ name }) => `up: ${name}`)) {
  test(`kubectl against up: ${name}`, async () => {
    await using instance = await startInstance();
    await runSteps(instance.kubectl, await steps());
  });
}

test("kubectl against kube-apiserver: the same table holds", async () => {
  await using plane = await startControlPlane({ controllers: true });
  await mkdir(plane.folder.join("home"));
  const kubectl = createKubectl(plane.folder, plane.adminKubeconfig);
  for (const { steps } of THEMES) await runSteps(kubectl, await steps());
});
