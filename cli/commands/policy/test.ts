/**
 * Tests policies with the fixtures below a folder, deciding each case as the approver would, and checks files of rules:
 * policies, profiles, policy tests, inventories and audit policies.
 */
import { readdir } from "node:fs/promises";
import { dirname, join, relative, resolve } from "node:path";
import { decideWith, type Known, type Verdict } from "../../../core/approval/decide_request.ts";
import {
  type Expectation,
  parsePolicyFixture,
  POLICY_TEST_KIND,
  type PolicyCase,
} from "../../../core/approval/policy_fixture.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import type { policyCheckCommand, policyTestCommand } from "./flags.ts";
import { EXIT, type ExitCode } from "../../exit_code.ts";
import type { Input } from "../../framework/command.ts";
import type { Tools } from "../../io.ts";
import { alignTabs, DESCRIBE_TABS } from "../../output/layout.ts";
import { toRuleViews } from "../../../core/report/request_view.ts";
import type { FilePort } from "../../../client/files.ts";
import { parseRequest } from "../../../core/request/parse_request.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { generatePrivateKey, type KeyAlgorithm, type PrivateKey } from "../../../core/pki/keys/keys.ts";
import { encodePem } from "../../../core/pki/asn1/pem.ts";
import { createCertificationRequest, type RequestFacts } from "../../../core/pki/x509/pkcs10.ts";
import { type Lookup, splitHosts } from "../../../core/approval/evidence/ownership.ts";
import type { PastApproval } from "../../../core/approval/conditions.ts";
import { formatTokenProof } from "../../../core/attestation/proof.ts";
import { parseNodeUser } from "../../../core/kube/user.ts";
import { parseNodeName } from "../../../core/machine/node_name.ts";
import { publicKeyPin } from "../../../core/pki/keys/key_names.ts";
import { encodeTokenLimits, PROOF_ANNOTATION } from "../../../core/token/bound_token.ts";
import { BOOTSTRAP_TOKEN_TYPE } from "../../../core/token/token_secret.ts";
import { readPolicies } from "../../../instance/controllers/policy_files.ts";
import { parseCsrFile } from "./kube_file.ts";
import type { PolicySettings } from "../../../core/approval/decide_from_sources.ts";
import { countFindings, type Finding } from "../../../core/report/health/finding.ts";
import { checkRuleFile } from "../../../core/report/health/policies.ts";
import { escapeText } from "../../../core/lib/printable.ts";
import { escapeHtml } from "../../output/escape.ts";
import { formatFindingJson, formatFindingTable, formatTrace } from "../../output/findings.ts";
import { forEachItem } from "../../framework/report.ts";

const KIND_LINE = new RegExp(`^["']?kind["']?: *["']?${POLICY_TEST_KIND}\\b`, "m");

export async function runTestPolicies(input: Input<typeof policyTestCommand.flags>, tools: Tools): Promise<ExitCode> {
  const [folder = ""] = input.args;
  const results: CaseResult[] = [];
  const faults: string[] = [];
  for (const path of await findFixtures(folder, tools)) {
    tools.signal.throwIfAborted();
    const text = await tools.files.readText(resolve(tools.cwd, path)) ?? "";
    if (!KIND_LINE.test(text)) continue;
    try {
      results.push(...await runFixture(path, text, tools));
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      faults.push(...error.message.split("\n").map((fault) => fault.startsWith(path) ? fault : `${path}: ${fault}`));
    }
  }
  if (faults.length > 0) throw new AppError("config_invalid", faults.join("\n"), { hint: "correct the files" });
  if (results.length === 0) {
    throw new AppError("invalid", `cannot test "${folder}": it contains no file of kind ${POLICY_TEST_KIND}`, {
      hint: "see the examples in docs/reference/policies.md",
    });
  }
  tools.stdout.write(input.settings.output === "junit" ? formatJunit(results) : formatForPeople(results));
  return results.every(({ failure }) => failure === undefined) ? EXIT.done : EXIT.failed;
}

/** Finds the YAML and JSON files below a folder, sorted. A file is returned itself. */
async function findFixtures(folder: string, { files, cwd }: Tools): Promise<readonly string[]> {
  const root = resolve(cwd, folder);
  const facts = await files.stat(root);
  if (facts === undefined) {
    throw new AppError("io", `cannot read "${folder}": no such file or folder`, {
      hint: "give a folder with fixtures",
    });
  }
  if (facts.kind === "file") return [folder];
  try {
    const entries = await readdir(root, { recursive: true, withFileTypes: true });
    return entries
      .filter((entry) => entry.isFile() && /\.(ya?ml|json)$/.test(entry.name))
      .map((entry) => join(folder, relative(root, join(entry.parentPath, entry.name))))
      .sort();
  } catch (cause) {
    throw new AppError("io", `cannot read "${folder}": ${getErrorMessage(cause)}`, { cause });
  }
}

/** Formats results as text: a line for each case, details of those that failed, and the totals. */
function formatForPeople(results: readonly CaseResult[]): string {
  const lines: string[] = [];
  let file = "";
  for (const result of results) {
    if (result.file !== file) lines.push(result.file);
    file = result.file;
    lines.push(`  ${result.failure === undefined ? "ok  " : "FAIL"}  ${result.name}`);
    if (result.failure !== undefined) lines.push(...describeResult(result).map((line) => `        ${line}`));
  }
  const failed = results.filter(({ failure }) => failure !== undefined).length;
  return `${lines.join("\n")}\n\n${results.length - failed} passed, ${failed} failed\n`;
}

/** Formats results as JUnit XML, with one suite per file. */
function formatJunit(results: readonly CaseResult[]): string {
  const files = [...new Set(results.map(({ file }) => file))];
  const suites = files.map((file) => {
    const own = results.filter((result) => result.file === file);
    const failures = own.filter(({ failure }) => failure !== undefined).length;
    const cases = own.map(junitCase).join("");
    return `  <testsuite name="${xml(file)}" tests="${own.length}" failures="${failures}">\n${cases}  </testsuite>\n`;
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n${suites.join("")}</testsuites>\n`;
}

function junitCase(result: CaseResult): string {
  const start = `    <testcase classname="${xml(result.file)}" name="${xml(result.name)}"`;
  if (result.failure === undefined) return `${start}/>\n`;
  const details = xml(describeResult(result).join("\n"));
  return `${start}>\n      <failure message="${xml(result.failure)}">${details}</failure>\n    </testcase>\n`;
}

function describeResult({ failure, wanted, verdict }: CaseResult): readonly string[] {
  const lines = [
    `why\t${failure ?? ""}`,
    `wanted\t${wanted.verdict}${wanted.rule === undefined ? "" : ` by rule ${wanted.rule}`}`,
    `was\t${formatOutcome(verdict)}`,
    ...formatTrace(toRuleViews(verdict.trace)),
  ];
  return alignTabs(lines.join("\n"), DESCRIBE_TABS).split("\n");
}

function formatOutcome({ kind, rule, message }: Verdict): string {
  return `${kind}${rule === undefined ? "" : ` by rule ${rule}`}: ${message}`;
}

/** Escapes text for XML 1.0, which cannot contain most control characters. */
function xml(text: string): string {
  return escapeHtml(escapeText(text));
}

interface CaseResult {
  /** The path of the fixture, as the user gave it. */
  readonly file: string;
  readonly name: string;
  readonly wanted: Expectation;
  readonly verdict: Verdict;
  /** The difference, as text; undefined if the case passed. */
  readonly failure: string | undefined;
}

/**
 * Runs every case of a fixture. Throws AppError `config_invalid` with every fault of the file, its policies and its
 * inventory.
 */
async function runFixture(path: string, text: string, { files, cwd }: Tools): Promise<readonly CaseResult[]> {
  const read = parsePolicyFixture(text);
  if (!read.ok) throw new AppError("config_invalid", read.error.map((fault) => `${path}: ${fault}`).join("\n"));
  const { policies: policy, inventory, cases } = read.value;
  const folder = dirname(resolve(cwd, path));
  const settings = await readPolicies({ policy, inventory }, { files, cwd: folder });
  const results: CaseResult[] = [];
  for (const item of cases) {
    const { name, expect: wanted } = item;
    const verdict = await decide(item, await createCsr(item, folder, files), settings);
    results.push({ file: path, name, wanted, verdict, failure: findFailure(wanted, verdict) });
  }
  return results;
}

async function decide(item: PolicyCase, csr: CertificateSigningRequest, settings: PolicySettings): Promise<Verdict> {
  const request = parseRequest(csr.spec.request);
  if (!request.ok) {
    const message = `the request cannot be read: ${request.error}`;
    return { kind: "pending", stage: "policies", policy: undefined, rule: undefined, trace: [], message };
  }
  const { policies, inventory } = settings;
  const known: Known = {
    now: item.now,
    revocation: { kind: "none" },
    token: createToken(item, request.value),
    approvals: {
      before: createPastApprovals(item, settings),
      held: item.held === undefined
        ? { kind: "none" }
        : { kind: "found", value: splitHosts([...item.held.dns, ...item.held.ips]) },
    },
    reported: item.unreachable.includes("nodes") ? { kind: "failed", message: "the nodes cannot be listed" } : {
      kind: "found",
      value: new Map([...item.nodes].map(([name, { dns, ips }]) => [name, splitHosts([...dns, ...ips])])),
    },
    server: splitHosts(item.server),
    certificates: { kind: "found", value: item.certificates },
    claims: { kind: "found", value: item.holders },
    room: true,
    excess: { kind: "none" },
  };
  return await decideWith({ csr, request: request.value, policies, inventory }, known, (need) => ({
    permissions: new Map(
      need.kind === "permission" ? [[need.permission, lookUpPermission(item, need.permission)]] : [],
    ),
  }));
}

/** Creates the token that the server gives a machine for its proof; none without a proof. */
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
  if (unreachable.includes("permissions")) return { kind: "failed", message: "permissions cannot be checked" };
  return { kind: "found", value: permissions.includes(permission) };
}

/** Creates approvals by the expected rule, in each policy that has it, with a time one minute ago. */
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

async function createCsr(
  { name, request, signerName, user: username, groups, usages, expirationSeconds }: PolicyCase,
  folder: string,
  files: Pick<FilePort, "readText">,
): Promise<CertificateSigningRequest> {
  const identity = { signerName, username, groups, usages, expirationSeconds };
  if (request.kind === "file") {
    const text = await files.readText(resolve(folder, request.path));
    if (text !== undefined) return parseCsrFile(text, request.path, identity);
    throw new AppError("io", `cannot read "${request.path}" of case "${name}": no such file`);
  }
  const { commonName, organizations, dns, ips, emails, uris, key: algorithm } = request;
  const key = keys.get(algorithm) ?? generatePrivateKey(algorithm);
  keys.set(algorithm, key);
  const subject = { commonName, organizations };
  const wanted = { subject, dnsNames: dns, ipAddresses: ips, emailAddresses: emails, uris };
  const pem = encodePem("CERTIFICATE REQUEST", createCertificationRequest(wanted, await key));
  return parseCsrFile(pem, name, identity);
}

export async function runCheck(input: Input<typeof policyCheckCommand.flags>, tools: Tools): Promise<ExitCode> {
  const findings: Finding[] = [];
  const sentences: string[] = [];
  const code = await forEachItem(input.args, async (file) => {
    const text = await tools.files.readText(resolve(tools.cwd, file));
    if (text === undefined) throw new AppError("not_found", `cannot check "${file}": there is no such file`);
    const report = checkRuleFile(text, file);
    if (report === undefined) {
      throw new AppError("invalid", `cannot check "${file}": it has no kind that tlsboot knows`, {
        hint: "use kind: ApprovalPolicy, SigningProfile, PolicyTest, Inventory, or Policy of audit.k8s.io/v1",
      });
    }
    findings.push(...report.findings);
    sentences.push(...report.sentences);
  }, tools);
  if (findings.length === 0) return code;
  const described = sentences.map((sentence) => `${escapeText(sentence)}\n`).join("");
  const isJson = input.settings.output === "json";
  tools.stdout.write(isJson ? formatFindingJson(findings) : described + formatFindingTable(findings));
  return countFindings(findings).error > 0 ? EXIT.failed : code;
}
