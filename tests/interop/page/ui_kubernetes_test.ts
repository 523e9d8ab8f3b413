/** `tlsboot ui` with a real kube-apiserver, whose own controllers sign the requests that are approved on the page. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { eventually } from "../../support/eventually.ts";
import { startBrowser } from "../../support/browser.ts";
import { getRecordedSerial } from "../../support/issued_records.ts";
import { waitForCertificate } from "../../support/interop/kubectl.ts";
import { sharedControlPlane } from "../../support/interop/shared.ts";
import { readMain, startWorld, testRequestFlows, type UiWorld } from "../../support/interop/ui_flows.ts";

describe("ui with kube-apiserver", () => {
  const stack = new AsyncDisposableStack();
  let world: UiWorld;
  before(async () => {
    const cluster = stack.use(await sharedControlPlane());
    stack.use(cluster.startCertificateControllers());
    // Kubernetes' installers create such a binding; this is the group of tlsboot's tokens.
    await cluster.kubectl.run(
      ...["create", "clusterrolebinding", "bootstrappers", "--clusterrole=system:node-bootstrapper"],
      "--group=system:bootstrappers:tlsboot",
    );
    const browser = stack.use(await startBrowser());
    world = await startWorld(stack, cluster, browser, cluster.auditLog);
  });
  after(async () => {
    // The problems are read before the program exits, because the open page would report the exit too. The page of a
    // deleted token may report the deletion before it is left.
    const expected = /status of 40[39]|status of 404 .*\/tokens\/\w+\)$/;
    const problems = world.alice.problems.filter((problem) => !expected.test(problem));
    await stack.disposeAsync();
    assert.deepEqual(problems, []);
  });

  testRequestFlows(() => world);

  test("the other pages show requests, Nodes and published CAs, and list what kube-apiserver lacks", async () => {
    const { ui, cluster: { kubectl }, alice: { page } } = world;
    const read = async (path: string) => {
      assert.equal((await page.goto(ui.origin + path))?.status(), 200, path);
      return await readMain(page);
    };
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: "w1" } };
    await kubectl.create(JSON.stringify(node));
    const issued = new X509Certificate(await waitForCertificate(kubectl, "bert-mouse"));
    await eventually("the Node is a machine", async () => /\bw1\b/.test(await read("/machines")) ? true : undefined);
    const missing = /Not shown: certificates without a request that still exists.*: this is another API server/;
    assert.match(await read("/machines"), missing);
    assert.match(await read("/machines/w1"), /no certificate is known[^]*its kubelet has not reported yet/);
    const serial = getRecordedSerial(issued);
    assert.match(await read("/certificates"), missing);
    const certificate = await read(`/certificates/${serial}`);
    for (const fact of ["bert-mouse", serial, issued.validToDate.toISOString().slice(0, 19), "alice"]) {
      assert.ok(certificate.includes(fact), `${fact}\n${certificate}`);
    }
    assert.match(await read("/revocations"), /kube-apiserver reads no list of revoked certificates/);
    assert.match(await read("/ca"), /CN=kubernetes[^]*clients of the API[^]*tlsboot guide new_ca/);
    assert.match(await read("/activity"), /the request was denied for/);
  });
});
