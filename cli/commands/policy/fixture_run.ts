/** Runs policy tests. Each case is decided as the approver would decide it, from the contents of the fixture alone. */
import { dirname, resolve } from "node:path";
import type { FilePort } from "../../../client/files.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import { AppError } from "../../../core/errors.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../../core/pki/keys/keys.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { createCertificationRequest, type RequestFacts } from "../../../core/pki/x509/pkcs10.ts";
import { decideWith, type Known, type Verdict } from "../../../core/approval/decide_request.ts";
import {
  type Expectation,
  parsePolicyFixture,
  type PolicyCase,
  type PolicyFixture,
} from "../../../core/approval/policy_fixture.ts";
import { type Lookup, splitHosts } from "../../../core/approval/evidence/ownership.ts";
import type { PastApproval } from "../../../core/approval/conditions.ts";
import { formatTokenProof } from "../../../core/attestation/proof.ts";
import { parseNodeUser } from "../../../core/kube/user.ts";
import { parseNodeName } from "../../../core/machine/node_name.ts";
import { publicKeyPin } from "../../../core/pki/keys/public_key_pin.ts";
import { encodeTokenLimits, PROOF_ANNOTATION } from "../../../core/token/bound_token.ts";
import { BOOTSTRAP_TOKEN_TYPE } from "../../../core/token/token_secret.ts";
import { readPolicies } from "../../../instance/controllers/policy_files.ts";
import { parseCsrFile } from "./kube_file.ts";
import type { PolicySettings } from "../../../core/approval/decide_from_sources.ts";

export interface CaseResult {
  /** The path of the fixture, as it was given. */
  readonly file: string;
  readonly name: string;
  readonly wanted: Expectation;
  readonly verdict: Verdict;
  /** The difference in words; undefined when the case passed. */
  readonly failure: string | undefined;
}

/** The ports that running a fixture uses. */
export interface FixtureDeps {
  readonly files: Pick<FilePort, "readText">;
  readonly cwd: string;
}

/**
 * Runs every case of a fixture. Throws AppError `config_invalid` with every fault of the file, its policies and its
 * inventory.
 */
export async function runFixture(path: string, text: string, deps: FixtureDeps): Promise<readonly CaseResult[]> {
  const read = parsePolicyFixture(text);
  if (!read.ok) throw new AppError("config_invalid", read.error.map((fault) => `${path}: ${fault}`).join("\n"));
  const folder = dirname(resolve(deps.cwd, path));
  const settings = await readPolicies(toPolicyFlags(read.value, folder), { files: deps.files, cwd: folder });
  const results: CaseResult[] = [];
  for (const one of read.value.cases) {
    const csr = await createCsr(one, folder, deps);
    const verdict = await decide(one, csr, settings);
    results.push({
      file: path,
      name: one.name,
      wanted: one.expect,
      verdict,
      failure: findFailure(one.expect, verdict),
    });
  }
  return results;
}

function toPolicyFlags({ policies, inventory }: PolicyFixture, folder: string): Parameters<typeof readPolicies>[0] {
  return { policy: policies, inventory: inventory === undefined ? undefined : resolve(folder, inventory) };
}

async function decide(one: PolicyCase, csr: CertificateSigningRequest, settings: PolicySettings): Promise<Verdict> {
  const request = parseRequest(csr.spec.request);
  if (!request.ok) {
    const message = `the request cannot be read: ${request.error}`;
    return { kind: "pending", stage: "policies", policy: undefined, rule: undefined, trace: [], message };
  }
  const { policies, inventory } = settings;
  const known: Known = {
    now: one.now,
    revocation: { kind: "none" },
    token: createToken(one, request.value),
    approvals: {
      before: createPastApprovals(one, settings),
      held: one.held === undefined
        ? { kind: "none" }
        : { kind: "found", value: splitHosts([...one.held.dns, ...one.held.ips]) },
    },
    reported: one.unreachable.includes("nodes") ? { kind: "failed", message: "the nodes cannot be listed" } : {
      kind: "found",
      value: new Map([...one.nodes].map(([name, { dns, ips }]) => [name, splitHosts([...dns, ...ips])])),
    },
    server: splitHosts(one.server),
    certificates: { kind: "found", value: one.certificates },
    claims: { kind: "found", value: one.holders },
    room: true,
    excess: { kind: "none" },
  };
  return await decideWith({ csr, request: request.value, policies, inventory }, known, (need) => ({
    permissions: new Map(need.kind === "permission" ? [[need.permission, lookUpPermission(one, need.permission)]] : []),
  }));
}

/** Creates the token that the server gives for a proof; none without a proof. */
function createToken({ attested, now }: PolicyCase, request: RequestFacts): NonNullable<Known["token"]> {
  if (attested === undefined) return { kind: "none" };
  const node = parseNodeName(parseNodeUser(request.subject.commonName) ?? "");
  const limits = { publicKey: publicKeyPin(request), networks: [], isApproval: node.ok };
  const proof = { kind: attested.kind, key: "of-the-test", at: new Date(now.getTime() - attested.ageMs) };
  const annotations = {
    ...encodeTokenLimits(node.ok ? { ...limits, node: node.value } : limits),
    [PROOF_ANNOTATION]: formatTokenProof(proof),
  };
  return { kind: "found", value: { metadata: { annotations }, type: BOOTSTRAP_TOKEN_TYPE } };
}

function lookUpPermission({ permissions, unreachable }: PolicyCase, permission: string): Lookup<boolean> {
  if (unreachable.includes("permissions")) return { kind: "failed", message: "permissions cannot be asked" };
  return { kind: "found", value: permissions.includes(permission) };
}

/** Creates approvals from a minute ago, by the expected rule in each policy that has it. */
function createPastApprovals(
  { approvedBefore, expect, now }: PolicyCase,
  { policies }: PolicySettings,
): readonly PastApproval[] {
  const at = new Date(now.getTime() - 60_000);
  return policies.flatMap(({ name, rules }) =>
    rules.some((rule) => rule.name === expect.rule)
      ? Array.from({ length: approvedBefore }, () => ({ policy: name, rule: expect.rule ?? "", at }))
      : []
  );
}

function findFailure({ verdict, rule, message }: Expectation, was: Verdict): string | undefined {
  if (was.kind !== verdict) return `verdict is ${was.kind}, not ${verdict}`;
  if (rule !== undefined && was.rule !== rule) return `rule is ${was.rule ?? "none"}, not ${rule}`;
  if (message !== undefined && !was.message.includes(message)) return `the message does not say "${message}"`;
  return undefined;
}

const keys = new Map<KeyAlgorithm, Promise<PrivateKey>>();

async function createCsr(one: PolicyCase, folder: string, { files }: FixtureDeps): Promise<CertificateSigningRequest> {
  const identity = {
    signerName: one.signerName,
    username: one.user,
    groups: one.groups,
    usages: one.usages,
    expirationSeconds: one.expirationSeconds,
  };
  if (one.request.kind === "file") {
    const text = await files.readText(resolve(folder, one.request.path));
    if (text !== undefined) return parseCsrFile(text, one.request.path, identity);
    throw new AppError("io", `cannot read "${one.request.path}" of case "${one.name}": no such file`);
  }
  const { commonName, organizations, dns, ips, emails, uris, key: algorithm } = one.request;
  const key = keys.get(algorithm) ?? generatePrivateKey(algorithm);
  keys.set(algorithm, key);
  const subject = { commonName, organizations };
  const wanted = { subject, dnsNames: dns, ipAddresses: ips, emailAddresses: emails, uris };
  return parseCsrFile(
    encodePem("CERTIFICATE REQUEST", createCertificationRequest(wanted, await key)),
    one.name,
    identity,
  );
}
