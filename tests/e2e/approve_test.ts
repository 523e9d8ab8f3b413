/** Tests `tlsboot approve` with the name of a machine. */
import assert from "node:assert/strict";
import { before, test } from "node:test";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { generatePrivateKey } from "../../core/pki/keys/keys.ts";
import { encodePem } from "../../core/pki/asn1/pem.ts";
import { createCertificationRequest } from "../../core/pki/x509/pkcs10.ts";
import { describeInstance } from "../support/instance_process.ts";
import { submitFirstRequest } from "../support/node_requests.ts";

const signal = new AbortController().signal;
const QUALIFIED = "certificatesigningrequest.certificates.k8s.io";

describeInstance("tlsboot approve", {}, (instance) => {
  const { tlsboot } = instance;

  before(async () => {
    // The token whose user sends the requests.
    await instance.succeed("token", "create", "abcdef.0123456789abcdef");
  });

  /** Sends the request of a machine, with a new key and a token of the instance. */
  async function request(name: string, node: string): Promise<void> {
    const subject = { commonName: `system:node:${node}`, organizations: ["system:nodes"] };
    const der = createCertificationRequest({ subject }, await generatePrivateKey("ecdsa-p256"));
    const edit = { request: encodeBase64(encodePem("CERTIFICATE REQUEST", der)) };
    await submitFirstRequest(`${instance.data}/admin.kubeconfig`, name, node, signal, edit);
  }

  /** Reads the warnings that `describe csr` shows. */
  async function readWarnings(name: string): Promise<readonly string[]> {
    const { stdout } = await tlsboot("describe", "csr", name);
    return [...stdout.matchAll(/^Warning: +(.*)$/gm)].map(([, text = ""]) => text);
  }

  async function readConditions(name: string): Promise<string> {
    return (await tlsboot("get", "csr", name, "-o", "jsonpath={.status.conditions[*].type}")).stdout;
  }

  test("tlsboot approve accepts the name of a machine, and reports a request that is already approved", async () => {
    await request("csr-m1", "m1");
    assert.deepEqual(await tlsboot("approve", "m1"), { code: 0, stdout: `${QUALIFIED}/csr-m1 approved\n`, stderr: "" });
    const again = await tlsboot("approve", "node/m1");
    assert.deepEqual(again, { code: 0, stdout: `${QUALIFIED}/csr-m1 already approved\n`, stderr: "" });
    assert.equal((await tlsboot("approve", "csr/csr-m1")).stdout, `${QUALIFIED}/csr-m1 already approved\n`);
  });

  test("tlsboot approve lists the requests of a machine with several, and approves none", async () => {
    await request("csr-m2-a", "m2");
    await request("csr-m2-b", "m2");
    const { code, stdout, stderr } = await tlsboot("approve", "m2");
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^tlsboot: error: "m2" means more than one request:$/m);
    for (const name of ["csr-m2-a", "csr-m2-b"]) {
      assert.match(
        stderr,
        new RegExp(
          `^tlsboot: error: {3}csr/${name}: system:node:m2 from \\S+, requested by system:bootstrap:abcdef at \\S+Z, Pending$`,
          "m",
        ),
      );
      assert.equal(await readConditions(name), "");
    }
    assert.equal((await tlsboot("deny", "csr/csr-m2-b")).code, 0);
    assert.equal((await tlsboot("approve", "m2")).stdout, `${QUALIFIED}/csr-m2-a approved\n`);
  });

  test("tlsboot approve shows a request's warnings, and approves it only after a confirmation", async () => {
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
        /^csr-w1-again is not approved because of the warning: look at it with tlsboot describe csr csr-w1-again; to approve it anyway: tlsboot approve csr\/csr-w1-again --yes$/m,
      );
      assert.equal(await readConditions("csr-w1-again"), "");
    }
    for (const stdin of ["", "\n", "n\n", "maybe\n"]) {
      const { code, stdout, stderr } = await instance.typeAt(stdin, "approve", "w1");
      assert.deepEqual([code, stdout], [3, ""]);
      assert.match(stderr, warning);
      assert.match(stderr, /Approve it anyway\? \[y\/N\] csr-w1-again is not approved\n$/);
    }
    assert.equal(await readConditions("csr-w1-again"), "");
    const asked = await instance.typeAt("y\n", "approve", "w1");
    assert.deepEqual([asked.code, asked.stdout], [0, `${QUALIFIED}/csr-w1-again approved\n`]);
    await request("csr-w1-third", "w1");
    const confirmed = await tlsboot("approve", "w1", "--yes");
    assert.deepEqual([confirmed.code, confirmed.stdout], [0, `${QUALIFIED}/csr-w1-third approved\n`]);
    assert.match(confirmed.stderr, warning);
    // A decided request needs no confirmation.
    assert.equal((await tlsboot("approve", "csr-w1-third")).stderr, "");
  });

  test("tlsboot approve does not mistake a request with the name of a machine for the machine's own", async () => {
    await request("csr-m3", "m3");
    await request("m3", "evil");
    assert.match(
      await instance.refuse(1, "approve", "m3"),
      /"m3" means more than one request:\n.* csr\/m3: system:node:evil .*\n.* csr\/csr-m3: system:node:m3 /,
    );
    assert.equal((await tlsboot("approve", "node/m3")).stdout, `${QUALIFIED}/csr-m3 approved\n`);
    assert.equal((await tlsboot("deny", "csr/m3")).stdout, `${QUALIFIED}/m3 denied\n`);
  });

  test("tlsboot describe csr and get csr accept the name of a machine, but not as csr/NAME", async () => {
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

  test("tlsboot approve reports an unknown name", async () => {
    assert.match(
      await instance.refuse(1, "approve", "m9"),
      /cannot find "m9": there is no request of that name, nor for a machine of that name\n.*tlsboot get csr/,
    );
  });

  test("tlsboot approve without a name is wrong usage", async () => {
    assert.match(await instance.refuse(2, "approve"), /name a request or a machine, or look at each with -i/);
  });
});
