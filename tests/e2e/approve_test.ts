/** `tlsboot approve` by the name of a machine, and `approve --expect`. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import { startCaptured } from "../support/child.ts";
import { generatePrivateKey } from "../../core/pki/keys.ts";
import { encodePem } from "../../core/pki/pem.ts";
import { createCertificationRequest } from "../../core/pki/pkcs10.ts";
import { toBase64 } from "../support/csr_builder.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { createImpatientClock } from "../support/impatient_clock.ts";
import { describeInstance } from "../support/instance_process.ts";
import { submitFirstRequest } from "../support/node_requests.ts";

const quiet = new AbortController().signal;
const QUALIFIED = "certificatesigningrequest.certificates.k8s.io";

describeInstance("tlsboot approve", {}, (instance) => {
  const { tlsboot } = instance;

  before(async () => {
    // The token that the requests name.
    await instance.succeed("token", "create", "abcdef.0123456789abcdef");
  });

  /** Sends the request of a machine, with a new key and a token of the instance. */
  async function request(name: string, node: string): Promise<void> {
    const subject = { commonName: `system:node:${node}`, organizations: ["system:nodes"] };
    const der = createCertificationRequest({ subject }, await generatePrivateKey("ecdsa-p256"));
    const edit = { request: toBase64(encodePem("CERTIFICATE REQUEST", der)) };
    await submitFirstRequest(`${instance.data}/admin.kubeconfig`, name, node, quiet, edit);
  }

  /** Reads the warnings that `describe csr` shows. */
  async function readWarnings(name: string): Promise<readonly string[]> {
    const { stdout } = await tlsboot("describe", "csr", name);
    return [...stdout.matchAll(/^Warning: +(.*)$/gm)].map(([, text = ""]) => text);
  }

  async function readConditions(name: string): Promise<string> {
    return (await tlsboot("get", "csr", name, "-o", "jsonpath={.status.conditions[*].type}")).stdout;
  }

  test("tlsboot approve takes the name of a machine, and says so when its request is approved already", async () => {
    await request("csr-m1", "m1");
    assert.deepEqual(await tlsboot("approve", "m1"), { code: 0, stdout: `${QUALIFIED}/csr-m1 approved\n`, stderr: "" });
    const again = await tlsboot("approve", "node/m1");
    assert.deepEqual(again, { code: 0, stdout: `${QUALIFIED}/csr-m1 already approved\n`, stderr: "" });
    assert.equal((await tlsboot("approve", "csr/csr-m1")).stdout, `${QUALIFIED}/csr-m1 already approved\n`);
  });

  test("tlsboot approve lists the requests of a machine when there are several, and approves none", async () => {
    await request("csr-m2-a", "m2");
    await request("csr-m2-b", "m2");
    const { code, stdout, stderr } = await tlsboot("approve", "m2");
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^tlsboot: error: "m2" means more than one request:$/m);
    for (const name of ["csr-m2-a", "csr-m2-b"]) {
      assert.match(
        stderr,
        new RegExp(
          `^tlsboot: error: {3}csr/${name}: system:node:m2 from \\S+, requested by system:bootstrap:abcdef \\d+s ago, Pending$`,
          "m",
        ),
      );
      assert.equal(await readConditions(name), "");
    }
    assert.equal((await tlsboot("deny", "csr/csr-m2-b")).code, 0);
    assert.equal((await tlsboot("approve", "m2")).stdout, `${QUALIFIED}/csr-m2-a approved\n`);
  });

  test("tlsboot approve shows the warnings of a request, and approves it only when that is confirmed", async () => {
    await request("csr-w1", "w1");
    assert.equal((await tlsboot("approve", "w1")).stderr, "");
    await request("csr-w1-again", "w1");
    const warning =
      /^Warning: node w1 already has a certificate until \S+Z, with another key: another machine may be claiming the name\.$/m;
    const warnings = await readWarnings("csr-w1-again");
    for (const args of [["w1"], ["csr/csr-w1-again"], ["csr-w1", "node/w1"]]) {
      const refused = await tlsboot("approve", ...args);
      assert.equal(refused.code, 3, refused.stderr);
      assert.doesNotMatch(refused.stdout, /csr-w1-again/);
      assert.match(refused.stderr, warning);
      assert.deepEqual(
        [...refused.stderr.matchAll(/^Warning: (.*)\.$/gm)].map(([, text]) => text),
        warnings,
        "describe csr shows the same",
      );
      assert.match(
        refused.stderr,
        /^csr-w1-again is not approved because of the warning: look at it with tlsboot describe csr csr-w1-again; to approve it all the same: tlsboot approve csr\/csr-w1-again --yes$/m,
      );
      assert.equal(await readConditions("csr-w1-again"), "");
    }
    for (const stdin of ["", "\n", "n\n", "maybe\n"]) {
      const { code, stdout, stderr } = await instance.typeAt(stdin, "approve", "w1");
      assert.deepEqual([code, stdout], [3, ""]);
      assert.match(stderr, warning);
      assert.match(stderr, /Approve it all the same\? \[y\/N\] csr-w1-again is not approved\n$/);
    }
    assert.equal(await readConditions("csr-w1-again"), "");
    const asked = await instance.typeAt("y\n", "approve", "w1");
    assert.deepEqual([asked.code, asked.stdout], [0, `${QUALIFIED}/csr-w1-again approved\n`]);
    await request("csr-w1-third", "w1");
    const confirmed = await tlsboot("approve", "w1", "--yes");
    assert.deepEqual([confirmed.code, confirmed.stdout], [0, `${QUALIFIED}/csr-w1-third approved\n`]);
    assert.match(confirmed.stderr, warning);
    // What is decided needs no confirmation.
    assert.equal((await tlsboot("approve", "csr-w1-third")).stderr, "");
  });

  test("tlsboot approve does not take a request that is only called like a machine for the machine", async () => {
    await request("csr-m3", "m3");
    await request("m3", "evil");
    assert.match(
      await instance.refuse(1, "approve", "m3"),
      /"m3" means more than one request:\n.* csr\/m3: system:node:evil .*\n.* csr\/csr-m3: system:node:m3 /,
    );
    assert.equal((await tlsboot("approve", "node/m3")).stdout, `${QUALIFIED}/csr-m3 approved\n`);
    assert.equal((await tlsboot("deny", "csr/m3")).stdout, `${QUALIFIED}/m3 denied\n`);
  });

  test("tlsboot describe csr and get csr take the name of a machine, which csr/NAME is not", async () => {
    await request("csr-m8", "m8");
    const described = await instance.succeed("describe", "csr", "m8");
    assert.match(described.stdout, /^Name: +csr-m8\n/);
    assert.equal((await tlsboot("get", "csr", "m8", "-o", "name")).stdout, `${QUALIFIED}/csr-m8\n`);
    for (const args of [["describe", "csr", "m9"], ["get", "csr", "m9"], ["get", "csr", "csr/m8"]]) {
      assert.match(
        await instance.refuse(1, ...args),
        /certificatesigningrequests\.certificates\.k8s\.io "m\d" not found/,
      );
    }
  });

  test("tlsboot approve reports a name that nothing has", async () => {
    assert.match(
      await instance.refuse(1, "approve", "m9"),
      /cannot find "m9": no request has that name, and no machine of that name asks\n.*tlsboot get csr/,
    );
  });

  for (
    const [line, want] of [
      ["", /name a request or a machine, or look at each with -i/],
      ["m1 --expect m2", /NAME and --expect exclude each other/],
      ["m1 --for 5m", /--for needs --expect/],
      ["--expect m1 --yes", /--yes and --expect exclude each other/],
      ["--expect a_b", /--expect: "a_b" is neither a file nor a machine: /],
    ] as const
  ) {
    test(`tlsboot approve ${line} is wrong usage`, async () => {
      assert.match(await instance.refuse(2, ...`approve ${line}`.trim().split(" ")), want);
    });
  }

  test("tlsboot approve --expect approves machines that ask already or later, once each, and nothing else", async () => {
    await request("csr-e1", "e1");
    await request("csr-other", "e7");
    await using running = instance.start("approve", "--expect", "e1,e2,e3", "--for", "60s");
    await running.waitFor(new RegExp(`${QUALIFIED}/csr-e1 approved \\(e1\\)\n`));
    await request("csr-e1-again", "e1");
    await running.waitFor(
      /not approved: csr-e1-again\. e1 has a certificate or an approved request with another key; /,
    );
    await request("csr-e2", "e2");
    await running.waitFor(/csr-e2 approved \(e2\)\n/);
    await request("csr-e3", "e3");
    const { code } = await running.finished();
    assert.equal(code, 0);
    assert.match(running.stdout(), /csr-e3 approved \(e3\)\n3 of 3 expected machines arrived\n$/);
    for (const name of ["csr-other", "csr-e1-again"]) assert.equal(await readConditions(name), "", name);
    // What was approved counts, so the same command ends at once.
    const again = await tlsboot("approve", "--expect", "e1,e2,e3");
    assert.deepEqual([again.code, again.stdout], [0, "3 of 3 expected machines arrived\n"]);
  });

  test("tlsboot approve --expect FILE reports the machines that did not arrive, and names that are contested", async () => {
    await writeFile(
      instance.folder.join("inventory.yaml"),
      "apiVersion: tlsboot/v1alpha1\nkind: Inventory\nnodes:\n  - name: f1\n  - name: f2\n  - name: f3\n",
    );
    await request("csr-f1", "f1");
    await request("csr-f2-a", "f2");
    await request("csr-f2-b", "f2");
    const time = createFakeClock(new Date());
    // The command looks every 100 ms whether the signer has signed what it approved.
    const clock = createImpatientClock(time, 100, 100);
    const place = { cwd: instance.folder.path, clock, env: { TLSBOOT_DATA_DIR: "data" } };
    const ending = startCaptured(["approve", "--expect", "inventory.yaml", "--for", "1m"], place);
    await ending.waitFor(/\(f1\)/);
    await ending.waitFor(/not approved/);
    await time.advance(60_000);
    const { code, stdout, stderr } = await ending.finished();
    assert.equal(code, 3);
    assert.equal(
      stdout,
      `${QUALIFIED}/csr-f1 approved (f1)\n1 of 3 expected machines arrived\n` +
        "f2: requests with different keys claim it: csr-f2-a, csr-f2-b\nf3: did not arrive\n",
    );
    assert.match(stderr, /^not approved: csr-f2-a, csr-f2-b\. They claim the name f2 with different keys; /m);
    for (const name of ["csr-f2-a", "csr-f2-b"]) assert.equal(await readConditions(name), "");
  });

  test("tlsboot approve --expect does not approve a machine whose request was denied, and takes its next one", async () => {
    await request("csr-g1", "g1");
    assert.equal((await tlsboot("deny", "g1")).code, 0);
    await request("csr-g0", "g0");
    await using running = instance.start("approve", "--expect", "g0,g1", "--for", "60s");
    // Then it has read the denied request, and the watch brings the next one.
    await running.waitFor(/csr-g0 approved/);
    await request("csr-g1-next", "g1");
    const { code } = await running.finished();
    assert.equal(code, 0);
    assert.equal(await readConditions("csr-g1"), "Denied");
    assert.equal(await readConditions("csr-g1-next"), "Approved");
  });
});
