import assert from "node:assert/strict";
import { test } from "node:test";
import { type ApprovalRule, BUILTIN_POLICIES, INVENTORY_ONLY, type Policy } from "../../core/approval/policy.ts";
import { createNodeCertificates } from "../../controllers/approver/indexes.ts";
import type { Verdict } from "../../core/approval/decide_request.ts";
import { listRecordedClaims, listRequestClaims } from "../../core/approval/evidence/claims.ts";
import { listReportedNames, type ReportingNode } from "../../core/approval/evidence/ownership.ts";
import { formatApprovedReason } from "../../core/approval/conditions.ts";
import { encodeTokenLimits, type TokenLimits } from "../../core/token/bound_token.ts";
import type { NodeName } from "../../core/machine/node_name.ts";
import { parseRequest } from "../../core/request/parse_request.ts";
import type { CertificateSigningRequest } from "../../core/kube/kinds/certificates_v1.ts";
import type { SecretObject } from "../../core/kube/kinds/core_v1.ts";
import { getName } from "../../core/kube/meta.ts";
import type { IssuedCertificate, Revocation } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";
import type { Clock, Transport } from "../../core/ports.ts";
import { readRevocableRequest, RecordedCertificates, RevocationIndex } from "../../core/revocation/revocation_index.ts";
import { createRevocation } from "../../core/revocation/revocation.ts";
import { buildCsr, type CsrOptions, servingOptions, sharedKey } from "../../tests/support/csr_builder.ts";
import { createFakeClock } from "../../tests/support/fake_clock.ts";
import { isFullRun } from "../../tests/support/full_run.ts";
import { createRecords } from "../../tests/support/issued_records.ts";
import { createMemoryLogger } from "../../tests/support/memory_logger.ts";
import { createMemoryObjectStore } from "../../tests/support/memory_object_store.ts";
import { createTestApprover } from "../../tests/support/test_approver.ts";
import { createApiEvidence, explainRequest } from "./explain_request.ts";
import type { EvidenceSources } from "../../core/approval/decide_from_sources.ts";
import { createApiClient } from "../objects/api.ts";
import fc from "../../tests/support/properties.ts";

const NOW = "2026-03-02T10:30:00Z";
const SIGNAL = new AbortController().signal;
const SERVER = { dns: ["api.lan"], ips: ["10.0.0.100"] };

/** What exists, apart from the request and the policies. */
interface World {
  readonly edit: CsrOptions;
  readonly policies: readonly Policy[];
  readonly hasInventory: boolean;
  readonly others: readonly CsrOptions[];
  readonly nodes: readonly ReportingNode[];
  readonly records: Parameters<typeof createRecords>[0];
  readonly revocations: readonly Revocation[];
  /** The limits of the bootstrap token; undefined when it is gone. */
  readonly token: Partial<TokenLimits> | undefined;
  readonly tokenLimits: "at creation" | "by the approver";
  readonly granted: readonly string[];
}

const KEYS = ["ecdsa-p256", "ecdsa-p384"] as const;
const node = fc.constantFrom("n1", "n2");
const requester = fc.constantFrom<CsrOptions>(
  {},
  {},
  { username: "system:node:n1", groups: ["system:nodes", "system:authenticated"] },
  { username: "system:node:n2", groups: ["system:nodes", "system:authenticated"] },
  { username: "alice", groups: ["system:authenticated"] },
);
const names = fc.record({
  dnsNames: fc.subarray(["n1.example", "n2.example", "shop.lan", "api.lan"], { maxLength: 2 }),
  ipAddresses: fc.subarray(["10.0.0.1", "10.0.0.2", "10.0.0.100"], { maxLength: 1 }),
});
const request = fc.record({
  requester,
  keyAlgorithm: fc.constantFrom(...KEYS),
  kind: fc.oneof(
    node.map((name): CsrOptions => ({ commonName: `system:node:${name}` })),
    fc.tuple(node, names).map(([name, some]): CsrOptions => ({ ...servingOptions(name), ...some })),
    names.map((some): CsrOptions => ({
      ...some,
      signerName: "example.com/web",
      commonName: "",
      organizations: [],
      usages: ["digital signature", "server auth"],
    })),
  ),
}).map(({ requester, keyAlgorithm, kind }): CsrOptions => ({ ...kind, ...requester, keyAlgorithm }));

function createPolicy(name: string, rule: Partial<ApprovalRule>): Policy {
  const evidence = { inventory: true, heldCertificate: true, trustNodeStatus: true };
  const base = {
    name: "rule",
    match: { signerNames: ["*/*"] },
    require: {},
    then: "approve",
    otherwise: "next",
  } as const;
  return { name, description: "", evidence, rules: [{ ...base, match: { signerNames: ["example.com/*"] }, ...rule }] };
}

const LAN = { owned: false, atLeastOne: true, dns: ["*.lan"], ips: ["10.0.0.0/24"], uris: [], emails: [] };
const POLICIES: readonly Policy[] = [
  ...BUILTIN_POLICIES.values(),
  INVENTORY_ONLY,
  { ...createPolicy("reissue", { then: "next" }), reissue: "allow" },
  createPolicy("web", {
    require: { names: { ...LAN, unclaimed: true }, rate: { max: 1, perMs: 3_600_000 } },
    otherwise: "pending",
  }),
  createPolicy("asks", { require: { permission: "web" } }),
  createPolicy("denies", { then: "deny", match: { signerNames: ["kubernetes.io/*"], users: ["system:node:n2"] } }),
  createPolicy("denies-name", {
    then: "deny",
    require: { names: { ...LAN, atLeastOne: false, dns: ["n2.example"], ips: [] } },
  }),
];

const other = fc.record({
  request,
  reason: fc.constantFrom("AutoApproved", formatApprovedReason({ policy: "web", rule: "rule" })),
})
  .map(({ request, reason }): CsrOptions => ({
    ...request,
    conditions: [{ type: "Approved", status: "True", reason, lastUpdateTime: NOW, lastTransitionTime: NOW }],
  }));

const record = fc.record({
  name: node,
  dnsNames: names,
  isWeb: fc.boolean(),
  isRevoked: fc.boolean(),
  isOver: fc.boolean(),
})
  .map(({ name, dnsNames, isWeb, isRevoked, isOver }) => ({
    ...(isWeb
      ? {
        signerName: "example.com/web",
        subject: "",
        usages: ["server auth"],
        requester: { username: `system:node:${name}` },
        ...dnsNames,
      }
      : { subject: `O=system:nodes,CN=system:node:${name}` }),
    ...(isOver ? { notAfter: "2026-03-01T00:00:00Z" } : {}),
    ...(isRevoked ? { status: { revocation: { name: "x", reason: "keyCompromise", time: null } } } : {}),
  }));

const world: fc.Arbitrary<World> = fc.record({
  edit: request,
  policies: fc.subarray([...POLICIES], { maxLength: 4 }),
  hasInventory: fc.boolean(),
  others: fc.array(other, { maxLength: 2 }),
  nodes: fc.subarray([report("n1", "10.0.0.1"), report("n2", "10.0.0.2"), report("n3", "10.0.0.1")]),
  records: fc.array(record, { maxLength: 3 }),
  revocations: fc.subarray(
    ([["token", "abcdef"], ["node", "n2"], ["user", "alice"]] as const).map(([kind, value]) =>
      createRevocation({ kind, value }, { reason: "keyCompromise" })
    ),
    { maxLength: 1 },
  ),
  token: fc.constantFrom<Partial<TokenLimits> | undefined>(
    undefined,
    {},
    { node: "n1" as NodeName },
    { node: "n1" as NodeName, isApproval: true },
    { maxKeys: 1 },
  ),
  tokenLimits: fc.constantFrom("at creation", "by the approver"),
  granted: fc.subarray(["nodeclient", "selfnodeclient", "web"]),
});

function report(name: string, address: string): ReportingNode {
  return {
    metadata: { name },
    status: { addresses: [{ type: "InternalIP", address }, { type: "Hostname", address: `${name}.example` }] },
  };
}

const INVENTORY = new Map([["n1", { dns: ["n1.example"], ips: ["10.0.0.1"] }]]);

/** The objects of a world. */
interface Objects {
  readonly csr: CertificateSigningRequest;
  readonly others: readonly CertificateSigningRequest[];
  readonly records: readonly IssuedCertificate[];
  readonly secret: SecretObject | undefined;
}

async function createObjects({ edit, others, records, token }: World): Promise<Objects> {
  return {
    csr: await buildCsr(edit),
    others: await Promise.all(others.map((one, index) => buildCsr({ ...one, name: `other-${index}` }))),
    records: createRecords(records),
    secret: token === undefined ? undefined : {
      metadata: {
        name: "bootstrap-token-abcdef",
        annotations: encodeTokenLimits({ networks: [], isApproval: false, ...token }),
      },
      type: "bootstrap.kubernetes.io/token",
      data: {},
    },
  };
}

/** Runs the approver over memory stores; returns what it reports about the request. */
async function runApprover(world: World, { csr, others, records, secret }: Objects, clock: Clock): Promise<string> {
  const certificates = createNodeCertificates({ records: undefined, clock });
  for (const one of others) certificates.put(one);
  for (const one of records) certificates.putRecord(one);
  const recorded = new RecordedCertificates();
  for (const one of records) recorded.put(one);
  const revoked = new RevocationIndex(recorded.findByFingerprint);
  revoked.replace(world.revocations);
  const claims = [...records.flatMap(listRecordedClaims), ...others.flatMap(listRequestClaims)];
  const token: NonNullable<EvidenceSources["readToken"]> = (id) =>
    Promise.resolve(
      secret !== undefined && id === "abcdef"
        ? { kind: "found", value: secret }
        : { kind: world.tokenLimits === "at creation" ? "none" : "gone" },
    );
  const logger = createMemoryLogger();
  const store = createMemoryObjectStore({ objects: [csr] });
  const approver = createTestApprover({
    store,
    logger,
    secrets: { update: (one) => Promise.resolve(one) },
    policies: world.policies,
    inventory: world.hasInventory ? INVENTORY : undefined,
    sources: {
      clock,
      reviewer: {
        isAllowed: ({ resourceAttributes }) =>
          Promise.resolve(world.granted.includes(resourceAttributes?.subresource ?? "")),
      },
      findRevoked: (one) =>
        Promise.resolve(revoked.findForRequest({ ...readRevocableRequest(one), tokenSecret: secret })),
      readToken: token,
      listApproved: (username) => others.filter(({ spec }) => spec.username === username),
      reported: () => ({
        kind: "found",
        value: new Map(world.nodes.map((one) => [getName(one), listReportedNames(one)])),
      }),
      certificates: certificates.list,
      claims: (wanted) => Promise.resolve({ kind: "found", value: claims.filter(({ name }) => wanted.includes(name)) }),
      serverNames: () => Promise.resolve(SERVER),
    },
  });
  const outcome = await approver.reconcile(getName(csr), store.peek(getName(csr)), SIGNAL);
  const kind = store.peek(getName(csr)).status.conditions?.[0]?.type ??
    (outcome.kind === "retry" ? "unknown" : "pending");
  const { policy, rule, why } = logger.entries.at(-1)?.fields ?? {};
  return `${kind} ${policy} ${rule}: ${outcome.kind === "retry" ? outcome.error : why}`;
}

const KINDS: Readonly<Record<Verdict["kind"], string>> = {
  approve: "Approved",
  deny: "Denied",
  pending: "pending",
  unknown: "unknown",
};

/** Explains the request as a command does, from the answers of an API. */
async function explain(world: World, { csr, others, records, secret }: Objects, clock: Clock): Promise<string> {
  const lists: Readonly<Record<string, readonly unknown[]>> = {
    certificatesigningrequests: [csr, ...others],
    issuedcertificates: records,
    revocations: world.revocations,
    nodes: world.nodes,
  };
  const transport: Transport = {
    send({ method, path, body }) {
      const [last = ""] = path.split("?")[0]?.split("/").slice(-1) ?? [];
      if (method === "POST") {
        const { spec } = body as { readonly spec: { readonly resourceAttributes: { readonly subresource: string } } };
        return Promise.resolve(
          answer(201, {
            metadata: {},
            spec,
            status: { allowed: world.granted.includes(spec.resourceAttributes.subresource) },
          }),
        );
      }
      const items = lists[last];
      if (items !== undefined) return Promise.resolve(answer(200, { metadata: {}, items }));
      if (last === "bootstrap-token-abcdef" && secret !== undefined) return Promise.resolve(answer(200, secret));
      return Promise.resolve(
        answer(404, { kind: "Status", status: "Failure", reason: "NotFound", code: 404, message: `${last} not found` }),
      );
    },
  };
  const handle = { transport, api: createApiClient(transport, { clock }), serverNames: () => Promise.resolve(SERVER) };
  const sources = await createApiEvidence(handle, { clock }).sources(SIGNAL);
  const facts = parseRequest(csr.spec.request);
  assert.ok(facts.ok);
  const { policies, hasInventory, tokenLimits } = world;
  const settings = { policies, inventory: hasInventory ? INVENTORY : undefined, tokenLimits };
  const { verdict } = await explainRequest(csr, facts.value, settings, sources, SIGNAL);
  const { kind, policy, rule, message } = verdict;
  return kind === "unknown"
    ? `unknown ${undefined} ${undefined}: AppError: ${message}`
    : `${KINDS[kind]} ${policy} ${rule}: ${message}`;
}

function answer(status: number, body: object) {
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  return {
    status,
    headers: { "content-type": "application/json" },
    body: (async function* () {
      yield await Promise.resolve(bytes);
    })(),
  };
}

test("explainRequest() and the running approver have the same verdict on every request", async () => {
  for (const key of KEYS) await sharedKey(key);
  const clock = createFakeClock(NOW);
  const verdicts = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(world, async (one) => {
      const objects = await createObjects(one);
      const explained = await explain(one, objects, clock);
      assert.equal(explained, await runApprover(one, objects, clock));
      const group = explained.replace(/:.*/, "");
      verdicts.set(group, (verdicts.get(group) ?? 0) + 1);
    }),
    { numRuns: isFullRun ? 10_000 : 500 },
  );
  for (const rule of ["revocation", "token", "machine", "selfnodeclient", "nodeclient", "rule", "kubelet-serving"]) {
    assert.ok([...verdicts.keys()].some((group) => group.endsWith(` ${rule}`)), `no request was decided by ${rule}`);
  }
});
