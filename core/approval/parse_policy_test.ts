import assert from "node:assert/strict";
import { test } from "node:test";
import { parsePolicy } from "./parse_policy.ts";
import { WEEKDAYS } from "./policy.ts";

const HEAD = "apiVersion: tlsboot/v1alpha1\nkind: ApprovalPolicy\n";

function rule(lines: string): string {
  return `${HEAD}name: web\nrules:\n  - name: one\n    match: {signerNames: [example.com/web]}\n    then: approve\n    require:\n      subject: {commonNames: ["*.example.com"]}\n      usages: {allowed: [server auth]}\n${lines}`;
}

test("parsePolicy() reads every requirement, with its defaults", () => {
  const read = parsePolicy(rule(`
      names: {dns: ["*.example.com"], ips: [10.0.0.0/8]}
      keys: [{type: RSA, minBits: 3072}]
      lifetime: {max: 90d, mayBeAbsent: false}
      hours: {days: [Mon, Tue], from: "08:00", to: "18:30"}
      rate: {max: 5, per: 1h}
      permission: web
`));
  assert.ok(read.ok, JSON.stringify(read));
  assert.deepEqual(read.value, {
    name: "web",
    description: "",
    evidence: { inventory: true, heldCertificate: true, trustNodeStatus: false },
    rules: [{
      name: "one",
      match: { signerNames: ["example.com/web"] },
      require: {
        permission: "web",
        subject: { commonNames: ["*.example.com"], organizations: [] },
        names: { owned: false, atLeastOne: false, dns: ["*.example.com"], ips: ["10.0.0.0/8"], uris: [], emails: [] },
        usages: { allowed: ["server auth"], required: [] },
        keys: [{ type: "RSA", minBits: 3072 }],
        lifetime: { maxMs: 90 * 86_400_000, mayBeAbsent: false },
        hours: { days: ["Mon", "Tue"], from: 480, to: 1110 },
        rate: { max: 5, perMs: 3_600_000 },
      },
      then: "approve",
      otherwise: "pending",
    }],
  });
});

for (
  const { own, want } of [
    { own: "{}", want: { inventory: true, heldCertificate: true, trustNodeStatus: false } },
    { own: "{inventory: false}", want: { inventory: false, heldCertificate: true, trustNodeStatus: false } },
    { own: "{trustNodeStatus: true}", want: { inventory: true, heldCertificate: true, trustNodeStatus: true } },
  ]
) {
  test(`parsePolicy() fills in what evidence ${own} leaves out`, () => {
    const read = parsePolicy(`${rule("")}evidence: ${own}\n`);
    assert.deepEqual(read.ok && read.value.evidence, want);
  });
}

test("parsePolicy() reads a proof as a word, or with its age", () => {
  const attested = (text: string) => {
    const read = parsePolicy(rule(`      attested: ${text}\n`));
    return read.ok ? read.value.rules[0]?.require.attested : read.error.join();
  };
  assert.deepEqual(attested("ssh"), { kind: "ssh" });
  assert.deepEqual(attested("{kind: tpm, maxAge: 10m}"), { kind: "tpm", maxAgeMs: 600_000 });
  assert.deepEqual(attested("{}"), {});
  assert.equal(attested("tmp"), 'rules[0].require.attested.kind: unknown value "tmp"; did you mean tpm?');
});

test("parsePolicy() fills in what a requirement leaves out", () => {
  const read = parsePolicy(
    rule(`
      names: {atLeastOne: true, unclaimed: true}
      lifetime: {}
      hours: {}
`).replace('commonNames: ["*.example.com"]', "organizations: [web]"),
  );
  assert.ok(read.ok, JSON.stringify(read));
  assert.deepEqual(read.value.rules[0]?.require, {
    subject: { commonNames: [], organizations: ["web"] },
    names: { owned: false, atLeastOne: true, unclaimed: true, dns: [], ips: [], uris: [], emails: [] },
    usages: { allowed: ["server auth"], required: [] },
    lifetime: { mayBeAbsent: true },
    hours: { days: WEEKDAYS, from: 0, to: 1440 },
  });
});

for (
  const [name, text, fault] of [
    ["an unknown key", rule("      usagess: 1\n"), "rules[0].require.usagess: unknown key; did you mean usages?"],
    [
      "an unknown usage",
      rule("      rate: {max: 1, per: 1h}\n").replace("[server auth]", "[serverauth]"),
      'rules[0].require.usages.allowed[0]: "serverauth" is not a key usage, such as "digital signature" or "server auth"',
    ],
    [
      "a bad range",
      rule("      names: {ips: [10.0.0.1/8]}\n"),
      'rules[0].require.names.ips[0]: "10.0.0.1/8" is neither an IP address nor a CIDR range',
    ],
    [
      "a bad signer",
      rule("").replace("example.com/web", "web"),
      'rules[0].match.signerNames[0]: "web" is not a signer name; write domain/path or domain/*',
    ],
    [
      "a bad duration",
      rule("      rate: {max: 1, per: soon}\n"),
      "rules[0].require.rate.per: want a duration such as 10m, 24h, 90d or 10y",
    ],
    [
      "a rate over too long a period",
      rule("      rate: {max: 1, per: 24h}\n"),
      "rules[0].require.rate.per: at most 1h; Kubernetes deletes an issued request after that",
    ],
    [
      "a proof that is older than its token",
      rule("      attested: {maxAge: 1h}\n"),
      "rules[0].require.attested.maxAge: at most 10m; the token for a proof expires after that",
    ],
    [
      "a proof of the requester as a node",
      rule("      attested: tpm\n").replace('"*.example.com"', '"*.example.com", "${requester}"'),
      "rules[0].require.subject: the requester with a proof is a bootstrap token; name nodes, as system:node:*",
    ],
    [
      "a denial that requires a proof",
      rule("      attested: tpm\n").replace("then: approve", "then: deny"),
      "rules[0].require.attested: a rule that denies cannot require a proof; use then: next with otherwise: deny",
    ],
    [
      "a name that conditions cannot carry",
      rule("").replace("- name: one", "- name: 'o\"ne'"),
      'rules[0].name: "o"ne" is not a name; want letters, digits, dots, dashes and underscores, at most 63',
    ],
    [
      "hours that end before they begin",
      rule('      hours: {from: "18:00", to: "08:00"}\n'),
      "rules[0].require.hours: from must be before to",
    ],
    [
      "hours that end when they begin, at midnight",
      rule('      hours: {to: "00:00"}\n'),
      "rules[0].require.hours: from must be before to",
    ],
    [
      "hours that begin at the end of the day",
      rule('      hours: {from: "24:00"}\n'),
      "rules[0].require.hours: from must be before to",
    ],
    ...["24:01", "08:60", "8:00", "noon"].map((time) =>
      [
        `the time ${time}`,
        rule(`      hours: {to: "${time}"}\n`),
        `rules[0].require.hours.to: "${time}" is not a time of day, such as 08:00 or 24:00`,
      ] as const
    ),
    ["a time that is a number", rule("      hours: {to: 800}\n"), "rules[0].require.hours.to: want text"],
    [
      "ownership with ranges",
      rule("      names: {owned: true, ips: [10.0.0.0/8]}\n"),
      "rules[0].require.names: owned requires evidence instead of patterns; leave dns and ips out",
    ],
    [
      "ownership with patterns",
      rule("      names: {owned: true, dns: [a.b]}\n"),
      "rules[0].require.names: owned requires evidence instead of patterns; leave dns and ips out",
    ],
    ...["dns", "ips"].map((key) =>
      [
        `ownership with an empty list of ${key}`,
        rule(`      names: {owned: true, ${key}: []}\n`),
        "rules[0].require.names: owned requires evidence instead of patterns; leave dns and ips out",
      ] as const
    ),
    [
      "an approving rule without subject",
      rule("").replace(/ +subject.*\n/, ""),
      "rules[0].require.subject: a rule that approves must say for which subjects",
    ],
    [
      "an approving rule without usages",
      rule("").replace(/ +usages.*\n/, ""),
      "rules[0].require.usages: a rule that approves must say for which usages",
    ],
    [
      "an unknown decision",
      rule("").replace("then: approve", "then: aprove"),
      'rules[0].then: unknown value "aprove"; did you mean approve?',
    ],
    [
      "two rules with the same name",
      `${rule("")}  - {name: one, match: {signerNames: [a.b/c]}, then: deny}\n`,
      'rules[1].name: another rule is called "one"',
    ],
    ["no rules", `${HEAD}name: x\nrules: []\n`, "rules: want at least one"],
    [
      "nothing but a name",
      `${HEAD}name: x\n`,
      "rules: missing; a policy without rules must have reissue or machines",
    ],
    [
      "an unknown value of reissue",
      `${HEAD}name: x\nreissue: always\n`,
      'reissue: unknown value "always"; known are allow, whenExpiring, never',
    ],
    [
      "another kind",
      "apiVersion: tlsboot/v1alpha1\nkind: Policy\nname: x\nreissue: never\n",
      'kind: must be "ApprovalPolicy"',
    ],
    ["a list in place of a mapping", "- a\n", "want a mapping"],
  ] as const
) {
  test(`parsePolicy() refuses ${name}`, () => {
    const read = parsePolicy(text);
    assert.ok(!read.ok);
    assert.deepEqual(read.error, [fault]);
  });
}

test("parsePolicy() refuses text that is not YAML, and bombs of aliases", () => {
  const broken = parsePolicy("a: [");
  assert.ok(!broken.ok && broken.error[0]!.startsWith("not YAML: "));
  const bomb =
    `a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n`;
  const exploded = parsePolicy(bomb);
  assert.ok(!exploded.ok && exploded.error[0]!.startsWith("not YAML: "));
});

for (const [then, otherwise] of [["deny", "next"], ["pending", "pending"]] as const) {
  test(`parsePolicy() lets a rule with then: ${then} continue with ${otherwise} by default`, () => {
    const file = `${HEAD}name: p\nrules:\n  - {name: r, match: {signerNames: [example.com/web]}, then: ${then}}\n`;
    const policy = parsePolicy(file);
    assert.equal(policy.ok && policy.value.rules[0]?.otherwise, otherwise);
  });
}

for (const settings of [{ reissue: "whenExpiring", machines: "inventory" }, { machines: "any" }]) {
  const lines = Object.entries(settings).map(([key, value]) => `${key}: ${value}\n`).join("");
  test(`parsePolicy() accepts a policy without rules that has ${lines.replaceAll("\n", ", ")}`, () => {
    const parsed = parsePolicy(`${HEAD}name: p\n${lines}`);
    const evidence = { inventory: true, heldCertificate: true, trustNodeStatus: false };
    assert.deepEqual(parsed, { ok: true, value: { name: "p", description: "", evidence, ...settings, rules: [] } });
  });
}
