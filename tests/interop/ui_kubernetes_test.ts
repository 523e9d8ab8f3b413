/** `tlsboot ui` in front of a real kube-apiserver, whose own controllers sign what is approved on the page. */
import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { after, before, describe } from "node:test";
import { startBrowser } from "../support/browser.ts";
import { startControlPlane } from "../support/interop/control_plane.ts";
import { createKubectl } from "../support/interop/kubectl.ts";
import { AUDIT_POLICY, startWorld, testRequestFlows, type UiWorld } from "../support/interop/ui_flows.ts";

describe("ui at kube-apiserver", () => {
  const stack = new AsyncDisposableStack();
  let world: UiWorld;
  before(async () => {
    const plane = stack.use(
      await startControlPlane({
        controllers: true,
        apiserverFlags: async (folder) => {
          await writeFile(folder.join("policy.json"), AUDIT_POLICY);
          return [`--audit-policy-file=${folder.join("policy.json")}`, `--audit-log-path=${folder.join("audit.log")}`];
        },
      }),
    );
    await mkdir(plane.folder.join("home"));
    const cluster = { ...plane, kubectl: createKubectl(plane.folder, plane.adminKubeconfig) };
    // Kubernetes' installers create this binding; the group is that of the tokens of tlsboot.
    await cluster.kubectl.run(
      ...["create", "clusterrolebinding", "bootstrappers", "--clusterrole=system:node-bootstrapper"],
      "--group=system:bootstrappers:tlsboot",
    );
    const browser = stack.use(await startBrowser());
    world = await startWorld(stack, cluster, browser, plane.folder.join("audit.log"));
  });
  after(async () => {
    await stack.disposeAsync();
    assert.deepEqual(world.alice.problems.filter((problem) => !/status of 40[39]/.test(problem)), []);
  });

  testRequestFlows(() => world);
});
