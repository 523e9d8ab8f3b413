/** Tests the pages of `tlsboot ui` other than requests: they show the API's objects, and their forms change them. */
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { before, test } from "node:test";
import { listAll } from "../../client/objects/api.ts";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import type { IssuedCertificate, Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import { buildCsr, condition, sharedKey } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import { failure, startFakeApi } from "../support/fake_api.ts";
import { type Connected, connectWith, describeInstance, readIdentity } from "../support/instance_process.ts";
import { openLink, startUi, type UiClient } from "../support/ui_client.ts";

const signal = new AbortController().signal;
const REGISTER = "/apis/tlsboot/v1alpha1/issuedcertificates";
const REVOCATION_LIST = "/apis/tlsboot/v1alpha1/revocations";

describeInstance("tlsboot ui: pages", { args: ["--auto-approve"] }, (instance) => {
  let admin: Connected;
  let client: UiClient;
  let token: string;

  before(async () => {
    const { succeed } = instance;
    const [pin = ""] = /sha256:[0-9a-f]{64}/.exec((await succeed("ca", "show")).stdout) ?? [];
    token = (await succeed("token", "create", "--description", "rack <7>")).stdout.trim();
    for (const node of ["n1", "n2"]) {
      await succeed(
        ...["bootstrap", "--server", instance.url, "--token", token, "--ca-cert-hash", pin],
        ...["--kubeconfig", `${node}/kubeconfig`, "--cert-dir", `${node}/pki`, "--hostname-override", node],
      );
    }
    await succeed("kubeconfig", "user", "jane", "--out", "jane.kubeconfig");
    admin = instance.use(await connectWith(`${instance.data}/admin.kubeconfig`));
    const page = await startUi(["--data-dir", instance.data], { cwd: instance.folder.path });
    client = await openLink(instance.use(page));
  });

  /** Returns the text of a page without markup. */
  async function read(path: string, status = 200, from: UiClient = client): Promise<string> {
    const { body } = await from.send(path, status);
    const [, main = ""] = /<main[^>]*>([^]*)<\/main>/.exec(body) ?? [];
    return main.replace(/<span class="label"[^>]*>[^<]*<\/span>/g, "").replace(/<[^>]*>/g, " ").replaceAll("&lt;", "<")
      .replaceAll("&gt;", ">").replaceAll("&quot;", '"')
      .replaceAll("&#39;", "'").replaceAll("&amp;", "&").replace(/\s+/g, " ");
  }

  async function readRegister(): Promise<readonly IssuedCertificate[]> {
    return (await listAll<IssuedCertificate>(admin.api, REGISTER, {}, signal)).items;
  }

  async function findNodeRecord(node: string): Promise<IssuedCertificate> {
    const found = (await readRegister()).find(({ spec }) => spec.subject?.includes(`CN=system:node:${node}`));
    assert.ok(found !== undefined, node);
    return found;
  }

  async function listRevocations(): Promise<readonly string[]> {
    const { items } = await listAll<Revocation>(admin.api, REVOCATION_LIST, {}, signal);
    return items.map(({ metadata }) => metadata.name ?? "");
  }

  /** Returns the value of a hidden field of the page's form. */
  async function findHidden(path: string, name: string): Promise<string> {
    const { body } = await client.send(path, 200);
    const [, value] = new RegExp(`<input type="hidden" name="${name}" value="([^"]*)"`).exec(body) ?? [];
    assert.ok(value !== undefined, `${path} has no ${name}`);
    return value;
  }

  test("ui: the machines are those of the register, with their expiry, tokens and certificates", async () => {
    const list = await read("/machines");
    assert.match(list, /2 machines/);
    assert.match(list, new RegExp(`valid .*n1 .*requested a certificate with a token .*${token.slice(0, 6)}`));
    const { spec } = await findNodeRecord("n1");
    const machine = await read("/machines/n1");
    assert.ok(machine.includes((spec.serialNumber ?? "").slice(0, 12)), machine);
    assert.ok(machine.includes(`Joined with token ${token.slice(0, 6)}`), machine);
    for (let count = 0; count < 2; count++) await instance.succeed("token", "create", "--node", "n1");
    await eventually("the tokens for n1 alone are listed", async () => {
      const { body } = await client.send("/machines/n1", 200);
      return /Tokens for this machine only<\/dt><dd><span><a [^>]*>\w{6}<\/a>, <a [^>]*>\w{6}<\/a>/.test(body) ||
        undefined;
    });
    assert.match(await read("/machines?state=expired"), /No machine matches/);
    assert.match(await read("/machines/nowhere", 404), /the machine "nowhere" is not known here/);
  });

  test("ui: the Node and the lease of a kubelet show whether a machine is alive", async () => {
    const lease = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "n1" },
      spec: { holderIdentity: "n1", leaseDurationSeconds: 40, renewTime: "2099-01-01T00:00:00.000000Z" },
    };
    const path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases";
    await admin.api.requestJson({ method: "POST", path, body: lease }, signal);
    const node = { apiVersion: "v1", kind: "Node", metadata: { name: "n1" } };
    await admin.api.requestJson({ method: "POST", path: "/api/v1/nodes", body: node }, signal);
    await eventually(
      "the page follows",
      async () => /renewed its lease Node registered/.test(await read("/machines/n1")) ? true : undefined,
    );
  });

  test("ui: the list and the page of a certificate show its record, and the filters are those of the command", async () => {
    const records = await readRegister();
    const list = await read("/certificates");
    assert.match(list, new RegExp(`${records.length} certificates`));
    for (const { spec } of records) assert.ok(list.includes((spec.serialNumber ?? "").slice(0, 12)), spec.subject);
    const ofNodes = await read("/certificates?signer=kubernetes.io%2Fkube-apiserver-client-kubelet&order=subject");
    assert.match(ofNodes, new RegExp(`2 of ${records.length} certificates`));
    assert.match(
      ofNodes,
      /tlsboot get certificates --data-dir \S+ --signer kubernetes.io\/kube-apiserver-client-kubelet --sort-by subject/,
    );
    assert.match(await read("/certificates?within=1d"), /1 of \d+ certificates .*CN=jane/);
    const { spec } = await findNodeRecord("n1");
    const page = await read(`/certificates/${spec.serialNumber}`);
    const facts = [spec.subject, spec.notBefore, spec.notAfter, spec.issuer, spec.serialNumber, spec.issuedAt];
    const { requester, approval, request } = spec;
    for (const fact of [...facts, request?.name, requester?.userAgent, requester?.tokenID, approval?.username]) {
      assert.ok(fact !== undefined && fact !== null && page.includes(fact), `${fact} is not in: ${page}`);
    }
    assert.match(await read("/certificates/abcdef", 404), /is not known here/);
  });

  test("ui: the calendar has the day on which the next certificate expires", async () => {
    const jane = (await readRegister()).find(({ spec }) => spec.subject === "CN=jane");
    const day = jane?.spec.notAfter?.slice(0, 10) ?? "";
    const page = await read("/certificates/calendar");
    assert.ok(page.includes(`The next certificate to expire is that of CN=jane, on ${day}`), page);
    const { body } = await client.send("/certificates/calendar", 200);
    assert.match(body, new RegExp(`href="#day-${day}"`));
    assert.match(body, new RegExp(`<li id="day-${day}">[^]*${jane?.spec.serialNumber}`));
  });

  test("ui: no page shows a token's secret, and user text is escaped", async () => {
    const id = token.slice(0, 6);
    const paths = ["/requests", "/machines", "/certificates", "/tokens", `/tokens/${id}`, "/ca", "/activity"];
    for (const path of paths) {
      const { body } = await client.send(path, 200);
      assert.ok(!body.includes(token.slice(7)), path);
      assert.ok(!body.includes("<7>"), path);
    }
    const page = await read(`/tokens/${id}`);
    assert.match(page, /rack <7>/);
    assert.match(page, /Requests of the token's holders.*issued .*node n1/, "its requests");
    assert.match(page, /2 certificates that were requested with it stay valid/);
  });

  test("ui: a revocation needs a reason and an unchanged state, is made as the user, and locks the machine out", async () => {
    const path = "/revoke?target=node%2Fn2";
    assert.match(await read(path), /If you revoke it, 1 certificate will stop working\./);
    const seen = await findHidden(path, "seen");
    const form = { target: "node/n2", certificates: "no", seen, message: "found in a bin" };
    const without = await client.submit("/revoke", 200, { ...form, reason: "" });
    assert.match(without.body, /role="alert">Choose a reason/);
    const changed = await client.submit("/revoke", 200, { ...form, seen: "0".repeat(64), reason: "keyCompromise" });
    assert.match(changed.body, /role="alert">What the revocation does has changed/);
    assert.deepEqual(await listRevocations(), []);
    const done = await client.submit("/revoke", 303, { ...form, reason: "keyCompromise" });
    assert.equal(done.headers.location, "/revocations/node%3An2");
    assert.match(
      await read("/revocations/node%3An2"),
      /Node\/n2 revoked: 1 certificate affected.*token create --data-dir \S+ --node n2/,
    );
    assert.match(await read("/machines/n2"), /State revoked/);
    const path2 = `${REVOCATION_LIST}/node:n2`;
    const { spec, status } = await admin.api.requestObject<Revocation>({ method: "GET", path: path2 }, signal);
    assert.deepEqual([spec.node, spec.reason, spec.message, status.revokedBy], [
      "n2",
      "keyCompromise",
      "found in a bin",
      "kubernetes-admin",
    ]);
    await eventually(
      "n2 is refused",
      async () => await readIdentity(instance.folder.join("n2/kubeconfig")) === "401" ? true : undefined,
    );
    const serial = (await findNodeRecord("n2")).spec.serialNumber ?? "";
    assert.match(await read(`/certificates/${serial}`), /revoked/);
    assert.match(
      await read("/activity?kind=revoked"),
      /node n2 was revoked: keyCompromise: found in a bin user kubernetes-admin/,
    );
    assert.match(await read(path, 409), /it has been revoked since/);
  });

  test("ui: revoking an unknown user needs a confirmation, and the page's own user cannot be revoked", async () => {
    const path = "/revoke?target=user%2Fnoone";
    assert.match(await read(path), /The register has no certificate for it: check the spelling/);
    const form = {
      target: "user/noone",
      certificates: "no",
      seen: await findHidden(path, "seen"),
      reason: "unspecified",
    };
    assert.match((await client.submit("/revoke", 200, form)).body, /role="alert">Confirm/);
    await client.submit("/revoke", 303, { ...form, sure: "yes" });
    assert.match(await read("/revoke?target=user%2Fkubernetes-admin", 422), /it covers "kubernetes-admin"/);
  });

  test("ui: a revocation is undone if that is possible, and only the one that was shown", async () => {
    const path = "/revocations/user%3Anoone";
    await client.submit(`${path}/unrevoke`, 409, { uid: "another" });
    const uid = await findHidden(path, "uid");
    await client.submit(`${path}/unrevoke`, 303, { uid });
    assert.match(await read("/revocations"), /user noone is no longer revoked/);
    assert.ok(!(await listRevocations()).includes("user:noone"));

    const { serialNumber = "" } = (await findNodeRecord("n1")).spec;
    const revoke = `/revoke?target=${serialNumber}`;
    const form = { target: serialNumber, certificates: "no", reason: "superseded" };
    await client.submit("/revoke", 303, { ...form, seen: await findHidden(revoke, "seen") });
    assert.match(await read(`/revocations/serial%3A${serialNumber}`), /Only a certificate on hold can be restored/);
  });

  test("ui: a token is deleted, and its page still shows what was requested with it", async () => {
    const id = token.slice(0, 6);
    await client.submit(`/tokens/${id}/delete`, 303);
    assert.match(await read("/tokens"), new RegExp(`Token ${id} is deleted`));
    assert.match(await read(`/tokens/${id}`), /The token no longer exists.*node n1/);
    const again = await client.submit(`/tokens/${id}/delete`, 404);
    assert.match(
      again.body,
      /there is no token with that id.*Next: list the tokens with: tlsboot token list --data-dir/,
    );
  });

  test("ui: a user sees only what their permissions allow, and what is missing is listed", async () => {
    await using other = await startUi(["--kubeconfig", "jane.kubeconfig"], { cwd: instance.folder.path });
    const jane = await openLink(other);
    for (
      const path of [
        "/machines",
        "/certificates",
        "/certificates/calendar",
        "/revocations",
        "/tokens",
        "/ca",
        "/activity",
      ]
    ) {
      assert.match(await read(path, 200, jane), /Not shown: .* you may not read them \(.*forbidden/, path);
    }
    await jane.send("/revoke?target=node%2Fn1", 403);
  });

  test("ui: the page of the CA shows a rotation with its servers, the census and the next command", async () => {
    assert.match(
      await read("/ca"),
      /CN=tlsboot-ca the API server, clients of the API.*No CA is being replaced.*tlsboot ca rotate begin/,
    );
    await instance.succeed("ca", "rotate", "begin");
    await eventually("the page follows", async () => /Replacement of ca/.test(await read("/ca")) ? true : undefined);
    const page = await read("/ca");
    assert.match(page, /It began at .*: both CAs are trusted, the old one signs\./);
    assert.match(page, /has adopted Trust/);
    assert.match(page, /jane user not seen since .* tlsboot kubeconfig user --data-dir \S+ jane --force/);
    assert.match(page, /tlsboot ca rotate status --data-dir \S+ --wait 1h tlsboot ca rotate switch --data-dir \S+/);
  });

  test("ui: with another API server, pages show the data of requests, and list what is missing in one line", async () => {
    await using api = await startFakeApi();
    const subject = { commonName: "system:node:n7", organizations: ["system:nodes"] };
    const certificate = encodeBase64(await api.ca.issue({ subject, publicKeyDer: (await sharedKey()).publicKeyDer() }));
    const at = "2026-02-01T00:00:00Z";
    const built = await buildCsr({
      name: "csr-n7",
      commonName: "system:node:n7",
      conditions: [condition("Approved", at, "Manual")],
      certificate,
    });
    api.put({ ...built, metadata: { ...built.metadata, creationTimestamp: at } });
    api.intercept = ({ path }) => {
      if (path.startsWith("/apis/certificates.k8s.io/v1/certificatesigningrequests")) return undefined;
      const isForbidden = path.startsWith("/api/v1") || path.startsWith("/apis/coordination");
      return isForbidden
        ? failure(403, "Forbidden", "nothing of this is for u")
        : { status: 404, body: "404 page not found\n" };
    };
    await writeFile(instance.folder.join("other.kubeconfig"), api.kubeconfig);
    await using other = await startUi(["--kubeconfig", "other.kubeconfig"], { cwd: instance.folder.path });
    const person = await openLink(other);
    const machines = await read("/machines", 200, person);
    assert.match(machines, /Not shown: certificates without a request that still exists: .*kube-apiserver/);
    assert.match(machines, /Not shown: nodes, leases of kubelets and bootstrap tokens: you may not read them/);
    assert.match(machines, /valid n7/);
    assert.match(await read("/certificates", 200, person), /valid .* node n7 kubelet client/);
    assert.match(await read("/revocations", 200, person), /kube-apiserver reads no list of revoked certificates/);
    assert.match(await read("/ca", 200, person), /the API server .*tlsboot guide new_ca/);
    assert.match(
      await read("/activity", 200, person),
      /the request was approved for node n7 \(kubelet client\): Manual/,
    );
  });
});
