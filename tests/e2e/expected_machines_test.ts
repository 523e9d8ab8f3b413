/**
 * Tests `tlsboot up --auto-approve`: machines that are not in the inventory, and names that another machine may claim.
 */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { test } from "node:test";
import { buildCsr, type CsrOptions } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import { connectWith, createWorkplace, describeInstance, startInstance } from "../support/instance_process.ts";
import { submitAs, submitFirstRequest, untilHeld, untilIssued } from "../support/node_requests.ts";
import { createTempFolder, findServerPort } from "../support/temp.ts";
import { formatInventory } from "../support/test_profiles.ts";

const signal = new AbortController().signal;

const inventory = (...names: readonly string[]) => formatInventory(...names.map((name) => `- name: ${name}`));

describeInstance("tlsboot up --auto-approve --inventory", {
  args: ["--auto-approve", "--inventory", "inventory.yaml"],
  prepare: (folder) => writeFile(folder.join("inventory.yaml"), inventory("n1", "n2", "n4")),
}, (instance) => {
  const { tlsboot } = instance;

  /** Sends the request of a machine with a token of the instance. */
  async function request(name: string, node: string, edit: CsrOptions = {}): Promise<void> {
    await submitFirstRequest(`${instance.data}/admin.kubeconfig`, name, node, signal, edit);
  }

  async function readMetric(name: string): Promise<string> {
    await using connected = await connectWith(`${instance.data}/admin.kubeconfig`);
    const text = await connected.api.requestText({ method: "GET", path: "/metrics" }, signal);
    return text.split("\n").filter((line) => line.startsWith(name)).join("\n");
  }

  test("tlsboot up --auto-approve --inventory prints what it approves", () => {
    assert.match(instance.running.stdout(), /approved automatically, for the machines in inventory\.yaml only\./);
  });

  test("tlsboot up --auto-approve --inventory approves a machine in the inventory, and holds another until it is added", async () => {
    await request("first-n1", "n1");
    await untilIssued(instance, "first-n1");
    await request("first-n3", "n3");
    const page = await untilHeld(instance, "first-n3", "NotInInventory");
    assert.match(
      page,
      /Left pending: machine n3 is not in the inventory\. If it is one of yours, add it to the inventory, /,
    );
    assert.match(page, /\nVerdict: +left pending: machine n3 is not in the inventory\n/);
    const explained = await tlsboot("policy", "explain", "first-n3");
    assert.equal(explained.code, 3);
    assert.match(explained.stdout, /\nPolicies: +inventory-only, inventory of 3 \(published by the approver\)\n/);
    assert.match(explained.stdout, /\n {4}no +machine +n3\n +why +machine n3 is not in the inventory\n/);
    assert.match(explained.stdout, /\nVerdict: +left pending: machine n3 is not in the inventory\n$/);
    assert.match((await tlsboot("get", "csr")).stderr, /^first-n3: machine n3 is not in the inventory$/m);
    await writeFile(instance.folder.join("inventory.yaml"), inventory("n1", "n2", "n3", "n4"));
    await untilIssued(instance, "first-n3");
  });

  test("tlsboot up holds a request with another key for a node that has a certificate", async () => {
    await request("first-n4", "n4");
    await untilIssued(instance, "first-n4");
    await request("again-n4", "n4", { keyAlgorithm: "ecdsa-p384" });
    const claim = /n4 already has a certificate until \d{4}-\S+Z; another machine may be claiming its name/;
    const page = await untilHeld(instance, "again-n4", "NameClaimed");
    assert.match(page, new RegExp(`\\nVerdict: +left pending: ${claim.source}\\n`));
    const listed = await tlsboot("get", "csr");
    assert.match(listed.stderr, new RegExp(`^again-n4: ${claim.source}$`, "m"));
    assert.equal(listed.stdout.match(/again-n4/g)?.length, 1);
    const explained = await tlsboot("policy", "explain", "again-n4");
    assert.equal(explained.code, 3);
    assert.match(
      explained.stdout,
      /fix +find out which machine sent the request; .* tlsboot approve again-n4; otherwise deny it\n/,
    );
    assert.match(await readMetric("tlsboot_held_requests_total"), /\{reason="NameClaimed"\} 1/);
    // The same key is the same machine.
    await request("same-n4", "n4", { username: "system:bootstrap:fedcba" });
    await untilIssued(instance, "same-n4");
    // A person may approve it anyway.
    assert.equal((await tlsboot("approve", "again-n4")).code, 3);
    assert.equal((await tlsboot("approve", "again-n4", "--yes")).code, 0);
    await untilIssued(instance, "again-n4");
  });

  test("tlsboot up approves one of two machines that request a name concurrently", async () => {
    await Promise.all([request("one-n2", "n2"), request("two-n2", "n2", { keyAlgorithm: "ecdsa-p384" })]);
    const { stdout } = await eventually("one is issued and the other held", async () => {
      const all = await tlsboot("get", "csr", "one-n2", "two-n2");
      return / issued$/m.test(all.stdout) && /n2 already has/.test(all.stderr) ? all : undefined;
    });
    assert.equal(stdout.match(/ issued$/gm)?.length, 1);
    assert.equal(stdout.match(/ pending$/gm)?.length, 1);
  });

  test("tlsboot up with reissue: allow approves a second key for a name", async () => {
    await using own = await createTempFolder();
    const policy = "apiVersion: tlsboot/v1alpha1\nkind: ApprovalPolicy\nname: again\nreissue: allow\n";
    await writeFile(own.join("again.yaml"), policy);
    await using other = await startInstance(own, ["--auto-approve", "--policy", "again.yaml"]);
    for (const keyAlgorithm of ["ecdsa-p256", "ecdsa-p384"] as const) {
      const csr = await buildCsr({ name: keyAlgorithm, groups: ["system:bootstrappers:tlsboot"], keyAlgorithm });
      await submitAs(`${other.data}/admin.kubeconfig`, csr, signal);
      await eventually(`${keyAlgorithm} is issued`, async () => {
        const { stdout } = await other.tlsboot("get", "csr", keyAlgorithm);
        return / issued$/m.test(stdout) || undefined;
      });
    }
  });

  test("tlsboot up finds the certificates of nodes in the register after a restart, until they are revoked", async () => {
    await using own = await createWorkplace();
    const args = ["--auto-approve", "--secure-port", String(await findServerPort())];
    const submit = async (name: string, edit: CsrOptions = {}) => {
      const csr = await buildCsr({ name, groups: ["system:bootstrappers:tlsboot"], ...edit });
      await submitAs(own.join("data/admin.kubeconfig"), csr, signal);
    };
    const untilConditions = (name: string, text: string) =>
      eventually(`"${name}" is ${text}`, async () => {
        const { stdout, stderr } = await own.tlsboot("get", "csr", name);
        return `${stdout}${stderr}`.includes(text) || undefined;
      });
    {
      await using first = await startInstance(own, args);
      await submit("first");
      await untilConditions("first", " issued\n");
      await own.succeed("delete", "csr", "first");
      assert.equal((await first.end("SIGTERM")).code, 0);
    }
    await using second = await startInstance(own, args);
    await submit("again", { keyAlgorithm: "ecdsa-p384" });
    await untilConditions("again", "n1 already has a certificate until");
    await second.running.waitFor(/CSR held for a person.*"again"|"again".*CSR held for a person/);
    const columns = ["--subject", "CN=system:node:n1", "-o", "jsonpath={.items[*].spec.serialNumber}"];
    const { stdout: serial, stderr } = await own.tlsboot("get", "certificates", ...columns);
    assert.match(serial, /^[0-9a-f]+$/, stderr);
    await own.succeed("revoke", serial, "--reason", "superseded", "--yes");
    await untilConditions("again", " issued\n");
  });

  test("tlsboot up refuses an unused inventory", async () => {
    assert.match(
      await instance.refuse(2, "up", "--data-dir", "other", "--inventory", "inventory.yaml"),
      /--inventory has no effect without --policy\n.*up also takes it with --auto-approve/,
    );
  });
});
