/** Tests `tlsboot attestor` against `tlsboot up`: machines join the cluster with their SSH host keys. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { test } from "node:test";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { runTlsboot } from "../support/child.ts";
import { eventually } from "../support/eventually.ts";
import { connectWith, describeInstance, machineFlags, whoIs } from "../support/instance_process.ts";
import { grant } from "../support/node_requests.ts";
import { formatInventory } from "../support/test_profiles.ts";

const NODE_CLIENT = "system:certificates.k8s.io:certificatesigningrequests:nodeclient";
const GROUP = { kind: "Group", name: "system:bootstrappers:attested" } as const;

describeInstance("an attestor", {}, (instance) => {
  const flags = ["--kubeconfig", "data/admin.kubeconfig", "--inventory", "machines.yaml", "--secure-port", "0"];

  async function attest(...args: readonly string[]) {
    return await runTlsboot(["attest", ...args], { cwd: instance.folder.path });
  }

  /** Starts an attestor, and returns the flags with which machines find it. */
  async function startAttestor() {
    const running = instance.start("attestor", ...flags);
    const [, server = "", hash = ""] = await running.waitFor(/--server (\S+) --ca-cert-hash (\S+) --cert-dir/);
    return { running, server: ["--server", server, "--ca-cert-hash", hash] };
  }

  test("a machine that proves its identity to the attestor joins the cluster, and only under its own name", async () => {
    const { folder } = instance;
    const lines: string[] = [];
    for (const node of ["n1", "n2"]) {
      await writeFile(folder.join(`${node}.hostkey`), (await generatePrivateKey("ed25519")).toPem(), { mode: 0o600 });
      const show = ["--show", "--proof", "ssh", "--proof-from", `${node}.hostkey`, "--hostname-override", node];
      lines.push((await attest(...show)).stdout);
    }
    await writeFile(folder.join("machines.yaml"), formatInventory(...lines.slice(0, 1)));
    const { running, server } = await startAttestor();
    await using _attestor = running;
    const proof = ["--proof", "ssh", "--proof-from", "n1.hostkey", ...server, "--hostname-override", "n1"];
    const prepared = await attest(...proof, "--cert-dir", "n1/pki", "--out", "n1/bootstrap.conf");
    assert.equal(prepared.code, 0, prepared.stderr);
    assert.ok((await readFile(folder.join("n1/bootstrap.conf"), "utf8")).includes(`server: ${instance.url}\n`));

    // The tokens' group needs the permission that --print-rbac lists.
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    const bootstrap = ["bootstrap", "--bootstrap-kubeconfig", "n1/bootstrap.conf"];
    assert.match(await instance.fail(1, ...bootstrap, ...machineFlags("n1")), /cannot create resource/);
    await grant(admin.api, "tlsboot:attested-bootstrapper", GROUP, "system:node-bootstrapper");
    assert.match(
      await instance.fail(
        1,
        ...bootstrap,
        "--hostname-override",
        "n2",
        "--kubeconfig",
        "x/kubeconfig",
        "--cert-dir",
        "x",
      ),
      /the token is only for the client certificate of node "n1"/,
    );
    await instance.succeed(...bootstrap, ...machineFlags("n1"));
    assert.equal(await whoIs(folder.join("n1/kubeconfig")), "system:node:n1");

    // Another machine is refused under this name, and accepted under its own once the inventory lists it.
    const other = ["bootstrap", "--attest", "ssh", "--proof-from", "n2.hostkey", ...server];
    assert.match(await instance.fail(1, ...other, ...machineFlags("n1")), /the proof was not accepted/);
    await writeFile(folder.join("machines.yaml"), formatInventory(...lines));
    await running.waitFor(/policy or inventory reloaded/);
    await instance.succeed(...other, ...machineFlags("n2"));
    assert.equal(await whoIs(folder.join("n2/kubeconfig")), "system:node:n2");
    const described = await eventually("the refusal in the cluster", async () => {
      const events = await admin.api.requestText(
        { method: "GET", path: "/api/v1/namespaces/default/events" },
        new AbortController().signal,
      );
      return events.includes("NodeAttestationRefused") ? events : undefined;
    });
    assert.match(described, /to prove to be node \\"n1\\" was refused/);

    // A restarted attestor has the same CA.
    const later = await startAttestor();
    await using _later = later.running;
    assert.deepEqual(later.server.slice(2), server.slice(2));
  });

  test("the attestor refuses to start if the cluster would approve its tokens' requests for any node", async () => {
    await using admin = await connectWith(`${instance.data}/admin.kubeconfig`);
    await grant(
      admin.api,
      "kubeadm:node-autoapprove-bootstrap",
      { kind: "Group", name: "system:bootstrappers" },
      NODE_CLIENT,
    );
    const refused = await instance.refuse(1, "attestor", ...flags);
    assert.match(refused, /error: tlsboot attestor cannot work: .*"kubeadm:node-autoapprove-bootstrap"/);
    assert.match(refused, /hint: remove that binding/);
  });

  test("the attestor needs a kubeconfig and an inventory", async () => {
    assert.match(await instance.refuse(2, "attestor", "--inventory", "machines.yaml"), /--kubeconfig is required/);
    assert.match(
      await instance.refuse(2, "attestor", "--kubeconfig", "data/admin.kubeconfig"),
      /--inventory is required/,
    );
  });
});
