import assert from "node:assert/strict";
import { test } from "node:test";
import { encodeBase64 } from "../../core/lib/encodings.ts";
import { isApproved } from "../../core/request/phase.ts";
import { AppError } from "../../core/errors.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { EventV1 } from "../../core/kube/kinds/events_v1.ts";
import { BUILTIN_POLICIES, type Policy } from "../../core/approval/policy.ts";
import type { Inventory } from "../../core/approval/evidence/inventory.ts";
import type { ReportingNode } from "../../core/approval/evidence/ownership.ts";
import { createWebPolicy } from "../../core/approval/rules/web_certificates.ts";
import { buildCsr, condition, type CsrOptions, servingOptions } from "../../tests/support/csr_builder.ts";
import { createFakeClock, type FakeClock, settle, until } from "../../tests/support/fake_clock.ts";
import { isFullRun } from "../../tests/support/full_run.ts";
import { createMemoryLogger, type MemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore, type MemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createSeededRandom } from "../../tests/support/seeded_random.ts";
import { createApprover, createVerdictEvents } from "./approver.ts";
import { createCsrIndex, createNodeWatch } from "./indexes.ts";
import { createManualTrigger, runController } from "../engine/loop.ts";
import type { EvidenceSources, PolicySettings } from "../../core/approval/decide_from_sources.ts";

const SERVING: CsrOptions = { ...servingOptions("a"), ipAddresses: ["10.0.0.1"] };
const STRICT = BUILTIN_POLICIES.get("kubelet-serving")!;
const TRUSTING = BUILTIN_POLICIES.get("kubelet-serving-trusting")!;
const INVENTORY: Inventory = new Map([["a", { dns: ["a.example"], ips: ["10.0.0.1"] }]]);

interface Instance extends AsyncDisposable {
  readonly csrs: MemoryObjectStore<CertificateSigningRequest>;
  readonly nodes: MemoryObjectStore<ReportingNode>;
  readonly events: MemoryObjectStore<EventV1>;
  readonly clock: FakeClock;
  readonly logger: MemoryLogger;
  readonly reviewed: string[];
  /** The permissions that the test grants. */
  readonly permissions: Set<string>;
  /** The permissions whose review fails. */
  readonly unreachable: Set<string>;
  set(settings: Partial<PolicySettings>): void;
  listEvents(): Promise<readonly string[]>;
  getCondition(name: string): string;
}

interface InstanceOptions {
  readonly csrs?: readonly CertificateSigningRequest[];
  readonly nodes?: readonly ReportingNode[];
  readonly policies?: readonly Policy[];
  readonly inventory?: Inventory;
  readonly isDryRun?: boolean;
  readonly maxPending?: number;
  readonly claims?: EvidenceSources["claims"];
  /** The address from which all requests came. */
  readonly address?: string;
  /** The watch is so late that it never delivers approved requests. */
  readonly isWatchLate?: boolean;
  readonly server?: () => Promise<{ readonly dns: readonly string[]; readonly ips: readonly string[] }>;
}

function node(name: string, ...ips: readonly string[]): ReportingNode {
  return {
    metadata: { name },
    status: {
      addresses: [
        ...ips.map((address) => ({ type: "InternalIP", address })),
        { type: "Hostname", address: `${name}.example` },
      ],
    },
  };
}

function pendingOnly(store: MemoryObjectStore<CertificateSigningRequest>): Pick<typeof store, "changes"> {
  return {
    async *changes(signal) {
      for await (const change of store.changes(signal)) {
        if (change.kind !== "changed" || !isApproved(change.object)) yield change;
      }
    },
  };
}

function run(options: InstanceOptions): Instance {
  const clock = createFakeClock("2026-03-02T10:30:00Z");
  const logger = createMemoryLogger();
  const random = createSeededRandom();
  const csrs = createMemoryObjectStore<CertificateSigningRequest>({
    objects: options.csrs ?? [],
    // The server stamps conditions.
    prepareUpdate: ({ status, ...rest }) => ({
      ...rest,
      status: {
        ...status,
        conditions: (status.conditions ?? []).map((one) => ({
          ...one,
          lastTransitionTime: one.lastTransitionTime ?? clock.now().toISOString(),
        })),
      },
    }),
  });
  const nodes = createMemoryObjectStore<ReportingNode>({ objects: options.nodes ?? [] });
  const events = createMemoryObjectStore<EventV1>();
  const changed = createManualTrigger();
  const reviewed: string[] = [];
  const permissions = new Set<string>();
  const unreachable = new Set<string>();
  let current: PolicySettings = { policies: options.policies ?? [STRICT], inventory: options.inventory };
  const reviewer = {
    isAllowed: (spec: { readonly resourceAttributes?: { readonly subresource?: string } }) => {
      const permission = spec.resourceAttributes?.subresource ?? "";
      reviewed.push(permission);
      if (unreachable.has(permission)) return Promise.reject(new AppError("unreachable", "no answer"));
      return Promise.resolve(permissions.has(permission));
    },
  };
  const index = createCsrIndex(options.isWatchLate === true ? pendingOnly(csrs) : csrs);
  const recorder = createVerdictEvents({ store: events, instance: "test", clock, random, logger });
  const nodeWatch = createNodeWatch({ nodes: () => nodes, isNeeded: () => true, clock });
  const approver = createApprover({
    store: csrs,
    onDecided: index.put,
    sources: {
      clock,
      reviewer,
      listApproved: index.listApproved,
      reported: nodeWatch.reported,
      certificates: () => ({ kind: "none" }),
      ...(options.claims === undefined ? {} : { claims: options.claims }),
      serverNames: options.server ?? (() => Promise.resolve({ dns: [], ips: ["10.0.0.100"] })),
    },
    settings: { current: () => current, changes: changed.changes },
    nodes: nodeWatch,
    findAddress: () => Promise.resolve(options.address),
    events: recorder,
    logger,
    isDryRun: options.isDryRun ?? false,
    ...(options.maxPending === undefined ? {} : { maxPending: options.maxPending }),
  });
  const abort = new AbortController();
  const running = runController(
    { name: "approver", store: index, ...approver, clock, random, logger },
    abort.signal,
  );
  return {
    csrs,
    nodes,
    events,
    clock,
    logger,
    reviewed,
    permissions,
    unreachable,
    set(settings) {
      current = { ...current, ...settings };
      changed.fire(["settings"]);
    },
    listEvents: async () =>
      (await events.list(new AbortController().signal)).map(({ type, reason, note }) => `${type} ${reason}: ${note}`),
    getCondition: (name) => (csrs.peek(name).status.conditions ?? []).map(({ type }) => type).join(),
    async [Symbol.asyncDispose]() {
      abort.abort();
      await running;
    },
  };
}

test("createApprover() approves with the evidence in the condition and in an Event about the request", async () => {
  await using instance = run({ csrs: [await buildCsr(SERVING)], inventory: INVENTORY });
  await instance.clock.advance(2_000);
  const [approved] = instance.csrs.peek("csr-1").status.conditions ?? [];
  assert.equal(approved?.type, "Approved");
  assert.equal(approved?.reason, "PolicyApproved:kubelet-serving/kubelet-serving");
  assert.match(approved?.message ?? "", /ownership a\.example by inventory, 10\.0\.0\.1 by inventory/);
  const [event] = await instance.events.list(new AbortController().signal);
  assert.equal(event?.metadata.namespace, "default");
  assert.deepEqual(
    { ...event?.regarding, uid: "", resourceVersion: "" },
    {
      kind: "CertificateSigningRequest",
      name: "csr-1",
      uid: "",
      apiVersion: "certificates.k8s.io/v1",
      resourceVersion: "",
    },
  );
  assert.deepEqual([event?.type, event?.reason, event?.note], ["Normal", "PolicyApproved", approved?.message]);
  assert.deepEqual(instance.reviewed, []);
});

test("createApprover() denies what the policy denies", async () => {
  const strict: Policy = { ...STRICT, rules: STRICT.rules.map((rule) => ({ ...rule, otherwise: "deny" })) };
  await using instance = run({
    csrs: [await buildCsr({ ...SERVING, dnsNames: ["*.example"] })],
    policies: [strict],
    inventory: INVENTORY,
  });
  await instance.clock.advance(2_000);
  assert.equal(instance.getCondition("csr-1"), "Denied");
  assert.match(
    (await instance.listEvents()).join(),
    /^Warning PolicyDenied: Denied by rule .*"\*\.example" is a wildcard/,
  );
});

const STOP: Policy = {
  ...STRICT,
  name: "stop",
  rules: [{
    name: "stolen",
    match: { signerNames: ["kubernetes.io/*"], users: ["system:node:n1"] },
    require: {},
    then: "deny",
    otherwise: "next",
  }],
};
const RENEWAL: CsrOptions = { username: "system:node:n1", groups: ["system:nodes"] };

test("createApprover() lets a rule that denies decide before the kubelet client rules, without a review of permissions", async () => {
  const other = { ...RENEWAL, name: "other", username: "system:node:n2", commonName: "system:node:n2" };
  await using instance = run({ csrs: [await buildCsr(RENEWAL), await buildCsr(other)], policies: [STRICT, STOP] });
  instance.permissions.add("selfnodeclient");
  await instance.clock.advance(2_000);
  assert.equal(instance.getCondition("csr-1"), "Denied");
  assert.equal(instance.getCondition("other"), "Approved");
  assert.deepEqual(instance.reviewed, ["selfnodeclient"]);
  assert.match(
    (await instance.listEvents()).join(),
    /^Warning PolicyDenied: Denied by rule "stolen" of policy "stop": /,
  );
});

test("createApprover() lets a rule that denies decide even if its requester has too many pending requests", async () => {
  const pending = await buildCsr({ ...RENEWAL, name: "pending", signerName: "kubernetes.io/kubelet-serving" });
  await using instance = run({ csrs: [pending], policies: [STRICT], maxPending: 1 });
  instance.permissions.add("selfnodeclient");
  await instance.clock.advance(2_000);
  instance.set({ policies: [STOP] });
  instance.csrs.put(await buildCsr(RENEWAL));
  await until(() => instance.getCondition("csr-1") === "Denied");
  await until(() => instance.getCondition("pending") === "Denied");
});

test("createApprover() approves nothing while a rule that denies cannot be evaluated", async () => {
  const [rule] = STOP.rules;
  const asking: Policy = { ...STOP, rules: [{ ...rule!, require: { permission: "stolen" } }] };
  await using instance = run({ csrs: [await buildCsr(RENEWAL)], policies: [asking] });
  instance.permissions.add("selfnodeclient");
  instance.unreachable.add("stolen");
  await instance.clock.advance(2_000);
  assert.equal(instance.getCondition("csr-1"), "");
  instance.unreachable.clear();
  await instance.clock.advance(60_000);
  await until(() => instance.getCondition("csr-1") === "Approved");
});

test("createApprover() checks again when the address appears, not at each heartbeat, and reports once", async () => {
  await using instance = run({ csrs: [await buildCsr(SERVING)], nodes: [node("a")], policies: [TRUSTING] });
  await instance.clock.advance(2_000);
  assert.equal(instance.getCondition("csr-1"), "");
  const events = await instance.listEvents();
  assert.equal(events.length, 1);
  assert.match(
    events[0] ?? "",
    /^Normal PolicyLeftPending: Left pending: .*nothing proves that 10\.0\.0\.1 belongs to node a.*explain csr-1$/,
  );
  instance.nodes.put(node("a"));
  instance.nodes.put(node("b", "10.0.0.2"));
  await instance.clock.advance(60_000);
  assert.deepEqual(await instance.listEvents(), events);
  instance.nodes.put(node("a", "10.0.0.1"));
  await until(() => instance.getCondition("csr-1") === "Approved");
});

test("createApprover() approves no name that a second node reports, until that node is deleted", async () => {
  await using instance = run({
    csrs: [await buildCsr(SERVING)],
    nodes: [node("a", "10.0.0.1"), node("b", "10.0.0.1")],
    policies: [TRUSTING],
  });
  await instance.clock.advance(60_000);
  assert.equal(instance.getCondition("csr-1"), "");
  assert.match((await instance.listEvents()).join(), /10\.0\.0\.1 belongs to node b too, by its own status/);
  await instance.nodes.delete("b", new AbortController().signal);
  await until(() => instance.getCondition("csr-1") === "Approved");
});

test("createApprover() uses reloaded policies and a reloaded inventory", async () => {
  const foreign = await buildCsr({ ...SERVING, name: "other", signerName: "example.com/web" });
  await using instance = run({ csrs: [await buildCsr(SERVING), foreign], policies: [STRICT] });
  await instance.clock.advance(2_000);
  assert.deepEqual([instance.getCondition("csr-1"), instance.getCondition("other")], ["", ""]);
  instance.set({ inventory: INVENTORY });
  await until(() => instance.getCondition("csr-1") === "Approved");
  const rule = {
    name: "no",
    match: { signerNames: ["example.com/*"] },
    require: {},
    then: "deny",
    otherwise: "pending",
  };
  instance.set({ policies: [STRICT, { ...STRICT, name: "web", rules: [rule as Policy["rules"][number]] }] });
  await until(() => instance.getCondition("other") === "Denied");
});

test("createApprover() renews by a certificate that was issued a moment ago", async () => {
  const pending = await buildCsr({ ...SERVING, name: "second" });
  await using instance = run({ csrs: [pending], policies: [STRICT], inventory: new Map() });
  await instance.clock.advance(2_000);
  assert.equal(instance.getCondition("second"), "");
  const { createIssuingCa } = await import("../../tests/support/issuing_ca.ts");
  const { sharedKey } = await import("../../tests/support/csr_builder.ts");
  const pem = await (await createIssuingCa(instance.clock.now())).issue({
    publicKeyDer: (await sharedKey()).publicKeyDer(),
    subject: { commonName: "system:node:a" },
    dnsNames: ["a.example"],
    ipAddresses: ["10.0.0.1"],
  });
  instance.csrs.put(
    await buildCsr({ ...SERVING, name: "first", conditions: [condition("Approved")], certificate: encodeBase64(pem) }),
  );
  await until(() => instance.getCondition("second") === "Approved");
  const message = instance.csrs.peek("second").status.conditions?.[0]?.message ?? "";
  assert.match(message, /10\.0\.0\.1 by held certificate/);
});

test("createApprover() decides nothing while a fact cannot be read, and checks again", async () => {
  let isDown = true;
  const server = () =>
    isDown ? Promise.reject(new AppError("unreachable", "no way")) : Promise.resolve({ dns: [], ips: [] });
  const strict: Policy = { ...STRICT, rules: STRICT.rules.map((rule) => ({ ...rule, otherwise: "deny" })) };
  await using instance = run({ csrs: [await buildCsr(SERVING)], policies: [strict], inventory: INVENTORY, server });
  await instance.clock.advance(10_000);
  assert.equal(instance.getCondition("csr-1"), "");
  isDown = false;
  await instance.clock.advance(60_000);
  assert.equal(instance.getCondition("csr-1"), "Approved");
});

test("createApprover() counts approvals at the same time", async () => {
  const one = await buildCsr(SERVING);
  const csrs = Array.from({ length: 15 }, (_, index) => ({ ...one, metadata: { name: `csr-${index}` } }));
  await using instance = run({ csrs, inventory: INVENTORY });
  await instance.clock.advance(5_000);
  const approved = () => csrs.filter(({ metadata }) => instance.getCondition(metadata.name) === "Approved").length;
  assert.equal(approved(), 10);
  await instance.clock.advance(3_700_000);
  assert.equal(approved(), 15);
});

test("createApprover() counts its approvals before the watch delivers them", async () => {
  const one = await buildCsr(SERVING);
  const csrs = Array.from({ length: 15 }, (_, index) => ({ ...one, metadata: { name: `csr-${index}` } }));
  await using instance = run({ csrs, inventory: INVENTORY, isWatchLate: true });
  await instance.clock.advance(5_000);
  assert.equal(csrs.filter(({ metadata }) => instance.getCondition(metadata.name) === "Approved").length, 10);
});

test("createApprover() stops checking a requester with thousands of pending requests, reports how to clear them, and serves others", async () => {
  const bad = await buildCsr({ ...SERVING, ipAddresses: ["10.0.0.2"] });
  const csrs = Array.from(
    { length: isFullRun ? 10_000 : 1_000 },
    (_, index) => ({ ...bad, metadata: { name: `csr-${index}` } }),
  );
  await using instance = run({ csrs, inventory: INVENTORY });
  await until(() => instance.logger.messages("warn").length > 0);
  await settle(50);
  assert.deepEqual(instance.logger.messages("warn"), [
    "a requester has too many pending requests, further ones are not checked",
  ]);
  assert.equal(instance.logger.messages("info").filter((message) => message === "CSR left pending").length, 100);
  const events = await instance.listEvents();
  // 25 from the bucket of the requester, and one that explains why there are no others.
  assert.equal(events.length, 26);
  assert.match(
    events.join("\n"),
    /Warning TooManyRequests: 100 requests of "system:node:a" stay pending; .*tlsboot delete csr --pending-of system:node:a/,
  );
  const fields = instance.logger.entries.find(({ level }) => level === "warn")?.fields;
  assert.equal(fields?.["clear"], "tlsboot delete csr --pending-of system:node:a");

  const other = {
    ...SERVING,
    name: "b",
    username: "system:node:b",
    commonName: "system:node:b",
    dnsNames: ["b.example"],
    ipAddresses: [],
  };
  instance.set({ inventory: new Map([...INVENTORY, ["b", { dns: ["b.example"], ips: [] }]]) });
  instance.csrs.put(await buildCsr(other));
  await until(() => instance.getCondition("b") === "Approved");

  for (const { metadata } of csrs) await instance.csrs.delete(metadata.name, new AbortController().signal);
  instance.csrs.put(await buildCsr({ ...SERVING, name: "good" }));
  await until(() => instance.getCondition("good") === "Approved");
});

test("createApprover() holds only a few of 300 requests for another machine's name, and approves an honest one with the same token", async () => {
  const identity = (name: string, host: string): CsrOptions => ({
    name,
    signerName: "kubernetes.io/kube-apiserver-client",
    commonName: `tlsboot:web:${host}`,
    organizations: ["tlsboot:web"],
    dnsNames: [host],
    groups: ["system:bootstrappers:tlsboot:web"],
  });
  const holder = { holder: "tlsboot:web:shop.lan", publicKeyFingerprint: "00", notAfter: undefined };
  await using instance = run({
    policies: [createWebPolicy({ domains: ["lan"], networks: [] })],
    claims: () => Promise.resolve({ kind: "found", value: [{ ...holder, name: "shop.lan" }] }),
    address: "10.0.0.9",
  });
  const { csrs } = instance;
  const getCondition = (name: string): string =>
    (csrs.peek(name).status.conditions ?? []).map(({ type, reason, message }) => `${type} ${reason}: ${message}`)
      .join();
  const rogue = await buildCsr(identity("rogue", "shop.lan"));
  const names = Array.from({ length: 300 }, (_, index) => `rogue-${index}`);
  for (const name of names) csrs.put({ ...rogue, metadata: { name } });
  csrs.put(await buildCsr(identity("honest", "nas.lan")));
  await until(() => getCondition("honest") !== "");
  assert.match(getCondition("honest"), /^Approved PolicyApproved:web-domain\/identity: /);
  await until(() => getCondition("rogue-299") !== "");
  const conditions = names.map(getCondition);
  assert.equal(conditions.filter((text) => text === "").length, 3);
  assert.deepEqual([...new Set(conditions)].filter((text) => text !== ""), [
    "Denied TooManyHeldRequests: 3 requests for shop.lan from 10.0.0.9 are already held for a person: request it " +
    "again when they are decided",
  ]);
});

test("createApprover() checks waiting requests when there are fewer pending ones", async () => {
  const bad = await buildCsr({ ...SERVING, ipAddresses: ["10.0.0.2"] });
  const good = await buildCsr({ ...SERVING, name: "good" });
  const csrs = [...Array.from({ length: 3 }, (_, index) => ({ ...bad, metadata: { name: `bad-${index}` } })), good];
  await using instance = run({ csrs, inventory: INVENTORY, maxPending: 3 });
  await instance.clock.advance(5_000);
  assert.equal(instance.getCondition("good"), "");
  await instance.csrs.delete("bad-1", new AbortController().signal);
  await until(() => instance.getCondition("good") === "Approved");
});

test("createApprover() in a dry run does not change requests, and reports once what it would do", async () => {
  const client = await buildCsr({ name: "client" });
  await using instance = run({ csrs: [await buildCsr(SERVING), client], inventory: INVENTORY, isDryRun: true });
  instance.permissions.add("nodeclient");
  await instance.clock.advance(2_000);
  instance.nodes.put(node("x", "10.9.9.9"));
  await instance.clock.advance(60_000);
  assert.deepEqual(instance.csrs.calls.filter((call) => call.startsWith("update")), []);
  const events = await instance.listEvents();
  assert.equal(events.length, 2);
  for (const line of events) assert.match(line, /^Normal WouldApprove: Dry run, nothing was written\. /);
  assert.equal(instance.logger.messages("info").filter((message) => message === "CSR would be approved").length, 2);
});

test("createApprover() decides a kubelet client request when its permission is refused", async () => {
  const rule: Policy["rules"][number] = {
    name: "rack",
    match: { signerNames: ["kubernetes.io/kube-apiserver-client-kubelet"] },
    require: {
      subject: { commonNames: ["system:node:rack1-*"], organizations: ["system:nodes"] },
      usages: { allowed: ["client auth", "digital signature"], required: ["client auth"] },
      permission: "rack",
    },
    then: "approve",
    otherwise: "pending",
  };
  const csr = await buildCsr({ commonName: "system:node:rack1-a" });
  await using instance = run({ csrs: [csr], policies: [{ ...TRUSTING, name: "racks", rules: [rule] }] });
  await instance.clock.advance(1_000);
  assert.equal(instance.getCondition("csr-1"), "");
  instance.permissions.add("rack");
  await instance.clock.advance(60_000);
  assert.equal(instance.getCondition("csr-1"), "Approved");
  assert.deepEqual(instance.reviewed.slice(0, 2), ["nodeclient", "rack"]);
});
