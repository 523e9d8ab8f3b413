/** Tests requests on the page: reading them, deciding them with the user's permissions, and following changes. */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFile, writeFile } from "node:fs/promises";
import { get } from "node:http";
import { before, test } from "node:test";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import { formatCommandFlags } from "../../cli/open_ui.ts";
import { buildCsr, type CsrOptions } from "../support/csr_builder.ts";
import { eventually } from "../support/eventually.ts";
import { createFakeClock } from "../support/fake_clock.ts";
import { assertShown, HOSTILE } from "../support/hostile_text.ts";
import { type Connected, connectWith, describeInstance, startInstance } from "../support/instance_process.ts";
import { grant } from "../support/node_requests.ts";
import { findSecrets, type Known } from "../support/secret_search.ts";
import { createTempFolder, findServerPort } from "../support/temp.ts";
import { findLink, openLink, startUi, type UiClient } from "../support/ui_client.ts";
import type { UiContext } from "../../ui/page.ts";

const { addFlags } = await import("../../ui/parts.tsx");
const { approveRequestAction, denyRequestAction } = await import("../../ui/pages/requests.tsx");

const signal = new AbortController().signal;
const CSRS = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
/** No controller of `up` decides about the requests of this signer, so they stay as the test leaves them. */
const SIGNER = "example.com/x";
const AUDIT_POLICY = `apiVersion: audit.k8s.io/v1
kind: Policy
rules:
- level: RequestResponse
  resources: [{group: certificates.k8s.io, resources: ["certificatesigningrequests/approval"]}]
  omitStages: [RequestReceived]
- level: None
`;

/** Returns what the forms of a request's page send in addition to the token. */
function seen({ metadata: { uid = "", resourceVersion = "" } }: CertificateSigningRequest): Record<string, string> {
  return { uid, resourceVersion };
}

/** Reads events of an open page until one matches. */
function waitForEvent(origin: string, path: string, cookie: string, pattern: RegExp): Promise<string> {
  const options = { headers: { cookie, "sec-fetch-site": "same-origin" }, signal: AbortSignal.timeout(60_000) };
  return new Promise((resolve, reject) => {
    const request = get(origin + path, options, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
        if (!pattern.test(text)) return;
        request.destroy();
        resolve(text);
      });
      response.once("end", () => resolve(`ended: ${text}`));
    });
    request.once("error", reject);
  });
}

describeInstance("tlsboot ui: requests", {
  args: ["--ui", "--audit-log-path", "audit.log", "--audit-policy-file", "policy.yaml"],
  prepare: (folder) => writeFile(folder.join("policy.yaml"), AUDIT_POLICY),
}, (instance) => {
  let admin: Connected;
  let client: UiClient;

  before(async () => {
    admin = instance.use(await connectWith(`${instance.data}/admin.kubeconfig`));
    client = await openLink(await findLink(instance.running));
  });

  async function create(name: string, options: CsrOptions = {}): Promise<CertificateSigningRequest> {
    const body = await buildCsr({ name, signerName: SIGNER, ...options });
    return await admin.api.requestObject<CertificateSigningRequest>({ method: "POST", path: CSRS, body }, signal);
  }

  async function read(name: string): Promise<CertificateSigningRequest> {
    return await admin.api.requestObject<CertificateSigningRequest>({ method: "GET", path: `${CSRS}/${name}` }, signal);
  }

  test("ui: requests are approved and denied, and the audit log has the user", async () => {
    const [first, second] = [await create("to-approve"), await create("to-deny")];
    await client.submit("/requests/to-approve/approve", 303, seen(first));
    await client.submit("/requests/to-deny/deny", 422, { ...seen(second), reason: " " });
    await client.submit("/requests/to-deny/deny", 303, { ...seen(second), reason: "Not ours." });
    const [approved, denied] = [await read("to-approve"), await read("to-deny")];
    assert.deepEqual([approved, denied].map(({ status }) => status.conditions?.map(({ type }) => type)), [
      ["Approved"],
      ["Denied"],
    ]);
    assert.equal(
      denied.status.conditions?.[0]?.message,
      'Not ours. (denied by user "kubernetes-admin" with tlsboot ui)',
    );
    const events = (await readFile(instance.folder.join("audit.log"), "utf8")).trimEnd().split("\n").map((line) =>
      JSON.parse(line)
    );
    assert.deepEqual(
      events.map(({ user, objectRef, responseStatus }) => [user.username, objectRef.name, responseStatus.code]),
      [["kubernetes-admin", "to-approve", 200], ["kubernetes-admin", "to-deny", 200]],
    );
    const { body } = await client.send("/requests/to-deny", 200);
    assert.match(body, /Request to-deny is denied\.<.*class="state denied".*Not ours\./s);
    assert.doesNotMatch(body, /to-deny\/approve/, "a decided request has no forms");
    assert.doesNotMatch((await client.send("/requests/to-deny", 200)).body, /Request to-deny is denied\./);
  });

  test("ui: the headline is the request's summary, commands have this server's flags, and a decided request has no advice", async () => {
    const kubelet = { signerName: "kubernetes.io/kube-apiserver-client-kubelet" };
    await using machine = await connectWith(`${instance.data}/bootstrap.kubeconfig`);
    const body = await buildCsr({ name: "advised", ...kubelet, commonName: "system:node:advised" });
    const created = await machine.api.requestObject<CertificateSigningRequest>(
      { method: "POST", path: CSRS, body },
      signal,
    );
    const page = await client.send("/requests/advised", 200);
    assert.match(page.body, /<title>\(\d+\) Request advised · tlsboot<\/title>/);
    assert.match(
      page.body,
      /<h1 id="title" data-swap="true">Node advised, with the token [^<]* asks for [^<]*\.<\/h1>/,
    );
    assert.match(page.body, /<p class="faint name">advised<\/p>/);
    assert.match(page.body, /<a href="\/requests" aria-current="page">Requests \(\d+\)<\/a>/);
    const grant =
      "create clusterrolebinding tlsboot:node-autoapprove-bootstrap --clusterrole=system:certificates.k8s.io:" +
      "certificatesigningrequests:nodeclient --group=system:bootstrappers:tlsboot";
    const { kubectl, tlsboot } = formatCommandFlags({ kubeconfig: undefined, dataDir: instance.data });
    assert.ok(page.body.includes(`kubectl${kubectl} ${grant}`), page.body);
    assert.ok((await client.send("/tokens", 200)).body.includes(`token create${tlsboot} -o command`));
    const odd = { tlsboot: " --data-dir 'a$&b'", kubectl: " --kubeconfig 'a$&b/c'" };
    assert.equal(
      addFlags("tlsboot get certificates -o wide, then kubectl create x", odd),
      `tlsboot get certificates${odd.tlsboot} -o wide, then kubectl${odd.kubectl} create x`,
    );
    const described = await instance.tlsboot("describe", "csr", "advised");
    assert.ok(described.stdout.includes(`kubectl ${grant}\n`), described.stdout);
    assert.ok(instance.running.stdout().includes(grant), "up prints the same");
    await client.submit("/requests/advised/deny", 303, { ...seen(created), reason: "Not ours." });
    const decided = await client.send("/requests/advised", 200);
    assert.doesNotMatch(decided.body, /left pending|To change/);
  });

  test("ui: the page after a decision does not count the request as pending, even if the watch is late", async () => {
    for (const [action, name] of [[approveRequestAction, "late-1"], [denyRequestAction, "late-2"]] as const) {
      const form = new URLSearchParams({ ...seen(await create(name)), confirmed: "yes", reason: "Not ours." });
      const entries = new Map([[name, { state: "pending" }]]);
      const data = {
        read: () => Promise.resolve({ entries }),
        waitForChange: () => Promise.resolve(entries.set(name, { state: "decided" }).size > 0),
      };
      const context = { data, connection: admin, io: { clock: createFakeClock() }, params: { name }, signal };
      assert.equal((await action.run(context as unknown as UiContext, form)).kind, "moved");
      assert.equal(entries.get(name)?.state, "decided");
    }
  });

  test("ui: a request with warnings is approved when they are confirmed", async () => {
    const plain = await create("plain");
    assert.doesNotMatch((await client.send("/requests/plain", 200)).body, /name="confirmed"/);
    const warned = await create("warned", { usages: ["cert sign"] });
    const warning = "it asks to issue further certificates \\(usage cert sign\\)";
    const { body } = await client.send("/requests/warned", 200);
    assert.match(
      body,
      new RegExp(`<li>${warning}</li>.*<input name="confirmed" type="checkbox" value="yes" required`, "s"),
    );
    const refused = await client.submit("/requests/warned/approve", 422, seen(warned));
    assert.match(refused.body, new RegExp(`is not approved: ${warning}.*read the warnings, and confirm them`, "s"));
    assert.equal((await read("warned")).status.conditions, undefined);
    await client.submit("/requests/warned/approve", 303, { ...seen(warned), confirmed: "yes" });
    await client.submit("/requests/plain/approve", 303, seen(plain));
  });

  test("ui: a request that has changed since it was shown is not decided", async () => {
    const old = await create("changing");
    const labels = { metadata: { labels: { changed: "yes" } } };
    const patch = { method: "PATCH", path: `${CSRS}/changing`, contentType: "application/merge-patch+json" } as const;
    await admin.api.requestJson({ ...patch, body: labels }, signal);
    const { body } = await client.submit("/requests/changing/approve", 409, seen(old));
    assert.match(body, /has changed since it was shown: nothing was decided/);
    await admin.api.requestJson({ method: "DELETE", path: `${CSRS}/changing` }, signal);
    const other = await create("changing");
    await client.submit("/requests/changing/approve", 409, seen(old));
    await client.submit("/requests/changing/approve", 422, {});
    assert.equal((await read("changing")).status.conditions, undefined);
    await client.submit("/requests/changing/approve", 303, seen(other));
    await client.submit("/requests/nowhere/approve", 404, seen(old));
  });

  test("ui: only requests of expected machines that were shown are approved together", async () => {
    const kubelet = { signerName: "kubernetes.io/kube-apiserver-client-kubelet" };
    await using machine = await connectWith(`${instance.data}/bootstrap.kubeconfig`);
    for (const name of ["m1", "m2"]) {
      const body = await buildCsr({ name, ...kubelet, commonName: `system:node:${name}` });
      await machine.api.requestJson({ method: "POST", path: CSRS, body }, signal);
    }
    await client.submit("/expected", 422, { machines: "m1 _" });
    assert.match((await client.submit("/expected", 200, { machines: "m3" })).body, /<caption>1 expected machine</);
    const plan = await client.submit("/expected", 200, { machines: "m1, m3\n" });
    assert.match(plan.body, /would be approved.*has not requested a certificate yet.*Approve one request</s);
    const [, list = ""] = /name="seen" value="([^"]*)"/.exec(plan.body) ?? [];
    assert.match(list, /^m1 \S+ \d+$/);
    const result = await client.submit("/requests/approve", 200, { machines: "m1 m2 m3", seen: list });
    assert.match(result.body, /One request is approved\..*it was not on the list that was shown/s);
    assert.deepEqual((await read("m1")).status.conditions?.map(({ type }) => type), ["Approved"]);
    assert.equal((await read("m2")).status.conditions, undefined);
  });

  test("ui: a user sees what their permissions allow, and which are missing", async () => {
    const request = await create("guarded");
    await instance.succeed("kubeconfig", "user", "viewer");
    const kubeconfig = instance.folder.join("viewer.kubeconfig");
    await using nothing = await startUi(["--kubeconfig", kubeconfig], { cwd: instance.folder.path });
    const blind = await openLink(nothing);
    assert.match((await blind.send("/requests", 403)).body, /User &quot;viewer&quot; cannot watch resource/);
    const rules = [{
      apiGroups: ["certificates.k8s.io"],
      resources: ["certificatesigningrequests"],
      verbs: ["get", "list", "watch"],
    }];
    await grant(admin.api, "see", { kind: "User", name: "viewer" }, rules);
    await using some = await startUi(["--kubeconfig", kubeconfig], { cwd: instance.folder.path });
    const viewer = await openLink(some);
    assert.match((await viewer.send("/requests", 200)).body, /with the rights of viewer/);
    assert.match((await viewer.send("/requests/guarded", 200)).body, /guarded/);
    const confirmed = { ...seen(request), confirmed: "yes" };
    assert.match((await viewer.submit("/requests/guarded/approve", 403, confirmed)).body, /cannot update resource/);
    assert.equal((await read("guarded")).status.conditions, undefined);
  });

  test("ui: hostile names are escaped", async () => {
    const script = `<script>alert(1)</script>"' onload=x ${HOSTILE}`;
    await create("hostile", { commonName: script, organizations: [script] });
    await eventually("the request is in the list", async () => {
      const { body } = await client.send("/requests?q=hostile", 200);
      return body.includes("/requests/hostile") ? true : undefined;
    });
    for (const path of ["/requests?q=hostile", "/requests/hostile", `/requests?q=${encodeURIComponent(script)}`]) {
      const { body } = await client.send(path, 200);
      assert.doesNotMatch(body, /<script>|" onload=|' onload=/, path);
      assert.match(body, /&lt;script&gt;/, path);
      assertShown(body, false, path);
    }
  });

  test("ui: no linked page has a secret", async () => {
    const bootstrap = await readFile(`${instance.data}/bootstrap.kubeconfig`, "utf8");
    const [, token = ""] = /token: \w{6}\.(\w{16})/.exec(bootstrap) ?? [];
    const [, encoded = ""] =
      /client-key-data: (\S+)/.exec(await readFile(`${instance.data}/admin.kubeconfig`, "utf8")) ??
        [];
    const files = ["ca.key", "apiserver.key", "sa.key"];
    const secrets: Known[] = [
      { name: "bootstrap token", value: token },
      { name: "administrator's key", value: Buffer.from(encoded, "base64").toString() },
      ...await Promise.all(
        files.map(async (name) => ({ name, value: await readFile(`${instance.data}/pki/${name}`, "utf8") })),
      ),
    ];
    for (const { name, value } of secrets) assert.ok(value.length >= 16, name);
    const pages = new Map<string, string>();
    const paths = new Set(["/requests"]);
    // A set iterates in insertion order, including values that are added meanwhile.
    for (const path of paths) {
      const { body } = await client.send(path, 200);
      pages.set(path, body);
      for (const [, href = ""] of body.matchAll(/href="(\/[^"]*)"/g)) {
        if (href !== "/" && !/\.\w+$/.test(href) && paths.size < 60) paths.add(href.replaceAll("&amp;", "&"));
      }
    }
    const kinds = new Set([...paths].map((path) => path.split(/[/?]/)[1]));
    for (const kind of ["machines", "certificates", "revocations", "tokens", "ca", "activity"]) {
      assert.ok(kinds.has(kind), kind);
    }
    assert.deepEqual(findSecrets([...pages].map(([where, text]) => ({ where, text })), secrets), []);
  });

  test("ui: an open page is informed of a change, and its stream ends with the session", async () => {
    await using page = await startUi(["--data-dir", instance.data], { cwd: instance.folder.path });
    const { origin } = page;
    const own = await openLink(page);
    const { body } = await own.send("/requests", 200);
    const [, version = ""] = /data-version="([^"]+)"/.exec(body) ?? [];
    const changed = waitForEvent(origin, `/events?live=requests&version=${version}`, own.cookie, /event: changed/);
    await create("new-on-page");
    assert.match(await changed, /event: changed/);
    assert.match((await own.send("/requests?q=new-on-page", 200)).body, /1 of \d+ requests/);
    const ending = waitForEvent(origin, "/events?live=", own.cookie, /never/);
    await own.submit("/logout", 200);
    assert.match(await ending, /^ended: /);
  });

  test("ui: the page reports a lost server, and recovers by itself", async () => {
    await using place = await createTempFolder();
    const port = ["--secure-port", String(await findServerPort())];
    const first = await startInstance(place, port);
    await using ui = await startUi(["--data-dir", first.data], { cwd: place.path });
    const own = await openLink(ui);
    const { body } = await own.send("/requests", 200);
    const [, version = ""] = /data-version="([^"]+)"/.exec(body) ?? [];
    const lost = waitForEvent(ui.origin, `/events?live=requests&version=${version}`, own.cookie, /event: changed/);
    await first.end("SIGTERM");
    await lost;
    const old = await own.send("/requests", 200);
    assert.match(old.body, /The requests shown here may be out of date: /);
    await using _second = await startInstance(place, port);
    await eventually("the page is no longer old", async () => {
      const { body: shown } = await own.send("/requests", 200);
      if (!/may be out of date/.test(shown)) return true;
      const [, version = ""] = /data-version="([^"]+)"/.exec(shown) ?? [];
      // The failure may change before it ends: a starting server fails differently from one that is gone.
      await waitForEvent(ui.origin, `/events?live=requests&version=${version}`, own.cookie, /event: changed/);
      return undefined;
    });
  });

  test("tlsboot ui reports a missing kubeconfig and a port in use", async () => {
    assert.match(await instance.refuse(1, "ui", "--data-dir", "none"), /cannot read kubeconfig/);
    assert.match(
      await instance.refuse(1, "ui", "--port", String(instance.port)),
      /cannot listen on 127\.0\.0\.1:\d+: another program does\n.*hint: choose another port/,
    );
  });
});
