import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "../../tests/support/properties.ts";
import { POD_PROFILE, POD_SIGNER } from "../../tests/support/pod_profile.ts";
import { FULL, MINIMAL, parseProfileOrThrow } from "../../tests/support/test_profiles.ts";
import { createCustomProfile } from "./custom_profile.ts";
import { describeProfile } from "./profile.ts";
import { findPurposeFault } from "./profile_spec.ts";
import { parseProfile } from "./profile_file.ts";

test("parseProfile() parses a file, with strict defaults for absent keys", () => {
  assert.deepEqual(parseProfileOrThrow(MINIMAL), {
    description: "",
    subject: {},
    names: { wildcards: false, atLeastOne: false },
    usages: { allowed: ["server auth", "digital signature"], required: [], default: [] },
    lifetime: { maxMs: 86_400_000, defaultMs: 86_400_000, minMs: 600_000 },
    keys: [{ type: "RSA", minBits: 2_048 }, { type: "ECDSA", minBits: 256 }, { type: "Ed25519" }],
    extensions: { ocsp: [], caIssuers: [], crl: [], policies: [], raw: [] },
    chain: true,
  });
  const full = parseProfileOrThrow(FULL);
  assert.equal(full.signerName, "example.com/web");
  assert.deepEqual(full.subject.commonName, { allowed: ["web-*"], min: 0, max: 1 });
  assert.deepEqual(full.subject.organizations, { allowed: [], exactly: ["web", "team"], min: 0 });
  assert.deepEqual(full.extensions.raw, [
    { oid: "1.3.6.1.5.5.7.1.24", critical: false, der: Uint8Array.of(0x30, 3, 2, 1, 5) },
  ]);
});

test("describeProfile() describes every requirement and every property of a profile", () => {
  assert.deepEqual(describeProfile(createCustomProfile("example.com/web", parseProfileOrThrow(FULL))), [
    "Signer example.com/web requires that",
    "  the subject common name is web-*, or is left out",
    "  the subject organizations are exactly web, team",
    "  the subject organizational units are unit *, at most 2 of them",
    "  the subject has nothing besides subject common name, subject organization, subject organizational unit",
    "  the DNS names are *.web.example.com or **.svc.example.com, at most 3 of them; wildcards too",
    "  the IP addresses are 10.0.0.0/24 or 2001:db8::/32",
    "  the URIs are spiffe://example.com/web/**",
    "  the e-mail addresses are *@example.com",
    "  there are no names of other kinds",
    "  there is at least one name",
    "  the key is RSA of 3072 to 4096 bits or ECDSA of 256 bits or Ed25519",
    "  the usages are among digital signature, key encipherment, server auth",
    "  the usages have server auth",
    "  the requested lifetime, if any, is at least 1h0m0s",
    "Serving certificates of the web team.",
    "Certificates are valid for at most 2160h0m0s, for 720h0m0s by default.",
    "A request file without usages gets digital signature, server auth.",
    "OCSP responders are at http://ocsp.example.com.",
    "The CA's certificate is at http://pki.example.com/ca.crt.",
    "Revoked certificates are listed at http://pki.example.com/ca.crl.",
    "The policy is 1.3.6.1.4.1.32473.1 and 2.23.140.1.2.1.",
    "The extension 1.3.6.1.5.5.7.1.24 is added.",
    "A certificate is issued without the intermediate CAs.",
  ]);
});

test("describeProfile() describes a minimal profile", () => {
  const profile = createCustomProfile("example.com/web", parseProfileOrThrow(MINIMAL));
  assert.deepEqual(profile.extensions, []);
  assert.deepEqual(describeProfile(profile), [
    "Signer example.com/web requires that",
    "  the subject is empty",
    "  there are no DNS names",
    "  there are no IP addresses",
    "  there are no URIs",
    "  there are no e-mail addresses",
    "  there are no names of other kinds",
    "  the key is RSA of at least 2048 bits or ECDSA of at least 256 bits or Ed25519",
    "  the usages are among server auth, digital signature",
    "  one of the usages is an extended key usage",
    "  the requested lifetime, if any, is at least 10m0s",
    "Certificates are valid for at most 24h0m0s, for 24h0m0s by default.",
    "The intermediate CAs follow each certificate, when there are any.",
  ]);
  const forPods = `${MINIMAL}subject: { commonName: { allowed: ["*"], default: x } }
names: { uris: { allowed: ["urn:*"], annotation: a/b } }
pods: { namespace: { allowed: ["*"] } }
`;
  assert.deepEqual(describeProfile(createCustomProfile(POD_SIGNER, parseProfileOrThrow(forPods))).slice(-6, -1), [
    "It is for pods whose namespace is *.",
    "A pod gets the subject common name x.",
    "The annotation a/b of a pod sets its URIs; by default it gets none.",
    "A pod gets the usages server auth, digital signature.",
    "Certificates are valid for at most 24h0m0s, and refreshed a third of its lifetime before the end.",
  ]);
});

test("describeProfile() describes which pods a profile is for, and what they get", () => {
  const lines = describeProfile(createCustomProfile(POD_SIGNER, parseProfileOrThrow(POD_PROFILE)));
  assert.deepEqual(lines.slice(0, 2), [
    `Signer ${POD_SIGNER} requires that`,
    "  the subject common name is exactly {serviceAccount}.{namespace}",
  ]);
  assert.deepEqual(lines.slice(-5), [
    "It is for pods whose namespace is web or team-*, whose node is node-*.",
    "The annotation example.com/dns-names of a pod sets its DNS names; " +
    "by default it gets {serviceAccount}.{namespace}.svc.cluster.local.",
    "The annotation example.com/usages of a pod sets its usages; by default it gets digital signature, client auth.",
    "Certificates are valid for at most 12h0m0s, and refreshed 3h0m0s before the end.",
    "The intermediate CAs follow each certificate, when there are any.",
  ]);
});

test("parseProfile() by default gives pods all allowed usages and at least an hour", () => {
  const text = `${MINIMAL}pods: { namespace: { allowed: ["*"] } }\n`;
  const { usages, lifetime } = parseProfileOrThrow(text.replace("24h", "1h"));
  assert.deepEqual(usages.default, usages.allowed);
  assert.equal(lifetime.minMs, 3_600_000);
});

test("findPurposeFault() keeps profiles for pods and for other requests apart", () => {
  const [plain, forPods] = [parseProfileOrThrow(MINIMAL), parseProfileOrThrow(POD_PROFILE)];
  assert.equal(findPurposeFault(plain, false), undefined);
  assert.equal(findPurposeFault(forPods, true), undefined);
  assert.match(findPurposeFault(plain, true) ?? "", /^pods: missing;/);
  assert.match(findPurposeFault(forPods, false) ?? "", /^pods: only for pod certificates;/);
});

test("parseProfile() accepts the limits themselves", () => {
  parseProfileOrThrow(`${HEAD}usages: { allowed: [signing], required: [signing], default: [signing] }
lifetime: { max: 1s, default: 1s, min: 1s }
subject: { organizations: { allowed: [a], min: 2, max: 2 } }
names: { dns: { allowed: [localhost] } }
keys: [{ type: RSA, minBits: 2048, maxBits: 2048 }, { type: ECDSA, minBits: 256, maxBits: 256 }]
extensions: { raw: [{ oid: 1.2.3, der: "04820ffc${"00".repeat(4_092)}" }] }
`);
});

const HEAD = "apiVersion: tlsboot/v1alpha1\nkind: SigningProfile\n";
const USAGES = "usages: { allowed: [server auth] }\n";
const LIFETIME = "lifetime: { max: 24h }\n";

for (
  const { name, text, want } of [
    { name: "nothing", text: "", want: ["want a mapping"] },
    { name: "no YAML", text: "a: [", want: [/^not YAML: /] },
    {
      name: "every fault at once",
      text: "apiVersion: v1\nkind: Profile\nlifetyme: 3\nusages: { allow: [] }\n",
      want: [
        'apiVersion: must be "tlsboot/v1alpha1"',
        'kind: must be "SigningProfile"',
        "lifetyme: unknown key; did you mean lifetime?",
        "usages.allow: unknown key; did you mean allowed?",
        "usages.allowed: missing",
        "lifetime: missing",
      ],
    },
    {
      name: "signer name",
      text: `${HEAD}signerName: web\n${USAGES}${LIFETIME}`,
      want: ['signerName: "web" is not a signer name; write domain/path, such as example.com/web'],
    },
    {
      name: "a signer of Kubernetes",
      text: `${HEAD}signerName: kubernetes.io/kubelet-serving\n${USAGES}${LIFETIME}`,
      want: ['signerName: "kubernetes.io/kubelet-serving" is Kubernetes\' own; its rules cannot be changed'],
    },
    {
      name: "usages",
      text: `${HEAD}${LIFETIME}usages: { allowed: [server auth, servr auth, cert sign] }\n`,
      want: [
        'usages.allowed[1]: "servr auth" is not a key usage, such as "digital signature" or "server auth"',
        'usages.allowed[2]: "cert sign" is for CAs; a signer issues no CA certificates',
      ],
    },
    {
      name: "contradictory usages",
      text: `${HEAD}${LIFETIME}usages: { allowed: [server auth, signing], required: [any], default: [signing] }\n`,
      want: [
        'usages.required: "any" is not allowed above',
        'usages.default: "any" is required',
        "usages.default: without an extended key usage, such as server auth, it is valid for every purpose",
      ],
    },
    {
      name: "patterns of DNS names",
      text: `${HEAD}${USAGES}${LIFETIME}names: { dns: { allowed: ["a.**", "x**.a", "**", "A.b", "a_b.*.c", "."] } }\n`,
      want: [
        'names.dns.allowed[0]: "a.**": ** matches whole labels, and only at the start, as in **.example.com',
        'names.dns.allowed[1]: "x**.a": ** matches whole labels, and only at the start, as in **.example.com',
        'names.dns.allowed[2]: "**" allows every name; add a domain',
        'names.dns.allowed[3]: "A.b" is not a pattern of DNS names in lower case',
        'names.dns.allowed[5]: "." is not a pattern of DNS names in lower case',
      ],
    },
    {
      name: "ranges, URIs, e-mail addresses",
      text: `${HEAD}${USAGES}${LIFETIME}names:
  ips: { allowed: [10.0.0.1/24], exactly: [], default: [10.0.0] }
  uris: { allowed: [example.com, "spiffe://**", "spiffe://a/**/b"] }
  emails: { allowed: [example.com, "**@a", "@a"] }
`,
      want: [
        'names.ips.allowed[0]: "10.0.0.1/24" is neither an IP address nor a CIDR range',
        "names.ips.exactly: want at least one",
        'names.ips.default[0]: "10.0.0" is not an IP address',
        'names.uris.allowed[0]: "example.com" does not begin with a scheme, such as spiffe://',
        'names.uris.allowed[1]: "spiffe://**": ** matches the rest of a path, and only at its end, as in spiffe://example.com/**',
        'names.uris.allowed[2]: "spiffe://a/**/b": ** matches the rest of a path, and only at its end, as in spiffe://example.com/**',
        'names.emails.allowed[0]: "example.com" is not a pattern of e-mail addresses, such as *@example.com',
        'names.emails.allowed[1]: "**@a" is not a pattern of e-mail addresses, such as *@example.com',
        'names.emails.allowed[2]: "@a" is not a pattern of e-mail addresses, such as *@example.com',
      ],
    },
    {
      name: "contradictory values",
      text: `${HEAD}${USAGES}${LIFETIME}subject:
  organizations: { allowed: [a], exactly: [b, b], min: 1 }
  countries: { min: 3, max: 2 }
names: { dns: { allowed: [a.b], wildcards: true }, atLeastOne: true }
`,
      want: [
        "subject.organizations: exactly and allowed exclude each other",
        "subject.organizations: exactly says how many there are; leave min, max and required out",
        "subject.organizations.exactly: a value occurs twice",
        "subject.countries: want allowed or exactly",
        "subject.countries.min: is above max",
        "names.dns.wildcards: no pattern begins with a label of stars, such as *.example.com",
      ],
    },
    {
      name: "keys for pods in a profile for other requests",
      text: `${HEAD}usages: { allowed: [server auth], annotation: a/usages }
lifetime: { max: 24h, refreshBefore: 1h }
subject: { commonName: { allowed: ["{pod}"], default: x } }
names: { dns: { allowed: [a.b], annotation: a/dns } }
`,
      want: [
        "subject.commonName.default: only for pod certificates; add the section pods, which lists the pods",
        "subject.commonName: only for pod certificates; add the section pods, which lists the pods",
        "names.dns.annotation: only for pod certificates; add the section pods, which lists the pods",
        "usages.annotation: only for pod certificates; add the section pods, which lists the pods",
        "lifetime.refreshBefore: only for pod certificates; add the section pods, which lists the pods",
      ],
    },
    {
      name: "contradictions in a profile for pods",
      text: `${HEAD}usages: { allowed: [server auth], annotation: a/b }
lifetime: { max: 30m, default: 20m, min: 10m, refreshBefore: 30m }
keys: [{ type: RSA, maxBits: 2048 }]
names:
  dns: { allowed: ["{namespase}.svc"], annotation: a/b }
  ips: { allowed: [10.0.0.1] }
  uris: { exactly: ["urn:{x}"], annotation: a/c }
  emails: { allowed: ["*@a"] }
pods: { namespace: { allowed: ["*"] } }
`,
      want: [
        "names.dns: {namespase} is not a fact of a pod; did you mean {namespace}?",
        /^names\.uris: \{x\} is not a fact of a pod; known are \{namespace\}, /,
        "names.uris: every pod has exactly these values; leave default and annotation out",
        "annotation: a/b is in two rules",
        "lifetime.min: the API requires at least 1h for pods",
        "lifetime.max: the API requires at least 1h for pods",
        "lifetime.default: the request of a pod always has a lifetime; leave it out",
        "lifetime.refreshBefore: is not below max",
        "keys: no kubelet generates such a key",
      ],
    },
    {
      name: "malformed keys for pods",
      text: `${HEAD}${USAGES}${LIFETIME}names: { dns: { allowed: [a.b], annotation: dns } }
pods: { namespaces: { allowed: [web] } }
`,
      want: [
        'names.dns.annotation: "dns" is not the key of an annotation, such as example.com/dns',
        "pods.namespaces: unknown key; did you mean namespace?",
        "pods.namespace: missing",
      ],
    },
    {
      name: "a name without a kind",
      text: `${HEAD}${USAGES}${LIFETIME}names: { atLeastOne: true }\n`,
      want: ["names.atLeastOne: no kind of name is allowed"],
    },
    {
      name: "lifetimes",
      text: `${HEAD}${USAGES}lifetime: { max: 1h, default: 2h, min: 3h }\n`,
      want: ["lifetime.default: is above max", "lifetime.min: is above default, or above max where there is none"],
    },
    {
      name: "durations",
      text: `${HEAD}${USAGES}lifetime: { max: 10ms, min: 1w, default: 0 }\n`,
      want: [
        "lifetime.default: want a duration such as 10m, 24h, 90d or 10y",
        "lifetime.min: want a duration such as 10m, 24h, 90d or 10y",
      ],
    },
    {
      name: "a tiny lifetime",
      text: `${HEAD}${USAGES}lifetime: { max: 10ms }\n`,
      want: [/^lifetime.max: want at least/],
    },
    {
      name: "keys",
      text:
        `${HEAD}${USAGES}${LIFETIME}keys: [{ type: DSA }, { type: RSA, minBits: 1024 }, { type: Ed25519, minBits: 1 }]\n`,
      want: [/^keys\[0\]\.type: unknown value "DSA"/],
    },
    {
      name: "weak keys",
      text: `${HEAD}${USAGES}${LIFETIME}keys:
  - { type: RSA, minBits: 1024, maxBits: 512 }
  - { type: ECDSA, maxBits: 224 }
  - { type: Ed25519, minBits: 1 }
  - { type: ML-DSA-44, maxBits: 44 }
  - { type: ML-DSA-65 }
`,
      want: [
        "keys[0].minBits: RSA below 2048 bits is weak",
        "keys[0].maxBits: is below the least bits",
        "keys[1].maxBits: is below the least bits",
        "keys[2]: Ed25519 has one size; leave the bits out",
        "keys[3]: ML-DSA-44 has one size; leave the bits out",
      ],
    },
    {
      name: "extensions",
      text: `${HEAD}${USAGES}${LIFETIME}extensions:
  ocsp: [ocsp.example.com, "http://a b"]
  policies: [{ oid: "1.99" }, { oid: "3.1" }, { oid: 1.02.3 }]
  raw:
    - { oid: 1.2.3, der: "3" }
    - { oid: 1.2.3, der: "0500 00" }
    - { oid: 1.2.3, der: "3080 0000" }
    - { oid: 1.2.3, der: "04820ffd${"00".repeat(4_093)}" }
`,
      want: [
        'extensions.ocsp[0]: "ocsp.example.com" is not a URL, such as http://pki.example.com/ca.crl',
        'extensions.ocsp[1]: "http://a b" is not a URL, such as http://pki.example.com/ca.crl',
        'extensions.policies[0].oid: "1.99" is not an object identifier, such as 1.3.6.1.4.1.32473.1',
        'extensions.policies[1].oid: "3.1" is not an object identifier, such as 1.3.6.1.4.1.32473.1',
        'extensions.policies[2].oid: "1.02.3" is not an object identifier, such as 1.3.6.1.4.1.32473.1',
        "extensions.raw[0].der: want DER in hexadecimal, such as 30 03 02 01 05",
        "extensions.raw[1].der: not one value of DER: there are bytes after the value",
        /^extensions\.raw\[2\]\.der: not one value of DER: /,
        "extensions.raw[3].der: want at most 4096 bytes",
      ],
    },
    {
      name: "extensions that follow from the plan, or occur twice",
      text: `${HEAD}${USAGES}${LIFETIME}extensions:
  raw: [{ oid: 2.5.29.19, der: "0500" }, { oid: 1.2.3, der: "0500" }, { oid: 1.2.3, der: "0500" }]
`,
      want: [
        "extensions.raw[0].oid: 2.5.29.19 follows from the rest of the profile, or is for CAs",
        "extensions.raw[2].oid: 1.2.3 occurs twice",
      ],
    },
  ] as readonly { readonly name: string; readonly text: string; readonly want: readonly (string | RegExp)[] }[]
) {
  test(`parseProfile() refuses, with the place: ${name}`, () => {
    const read = parseProfile(text);
    const faults = read.ok ? [] : read.error;
    assert.equal(faults.length, want.length, faults.join("\n"));
    for (const [index, one] of want.entries()) {
      if (typeof one === "string") assert.equal(faults[index], one);
      else assert.match(faults[index] ?? "", one);
    }
  });
}

/** Values for the keys of the file, with odd ones among them. */
const leaf = fc.oneof(
  fc.constantFrom(
    "server auth",
    "RSA",
    "24h",
    "*.example.com",
    "**",
    "10.0.0.0/8",
    "1.2.3",
    "0500",
    true,
    false,
    null,
    -1,
  ),
  fc.string({ maxLength: 8 }),
  fc.integer(),
  fc.array(fc.constantFrom("server auth", "a.b", "::1", "1.2.3"), { maxLength: 2 }),
);
const KEYS = [
  ...[
    "signerName",
    "subject",
    "commonName",
    "organizations",
    "names",
    "dns",
    "ips",
    "allowed",
    "exactly",
    "min",
    "max",
    "annotation",
    "pods",
    "namespace",
    "pod",
  ],
  ...[
    "usages",
    "required",
    "default",
    "lifetime",
    "keys",
    "type",
    "minBits",
    "extensions",
    "raw",
    "oid",
    "der",
    "chain",
  ],
];
const level = (value: fc.Arbitrary<unknown>) =>
  fc.oneof(value, fc.dictionary(fc.constantFrom(...KEYS), value, { maxKeys: 4 }), fc.array(value, { maxLength: 2 }));

test("parseProfile() never throws, whatever the content; every accepted profile can be described", () => {
  fc.assert(fc.property(fc.dictionary(fc.constantFrom(...KEYS), level(level(leaf))), (content) => {
    const read = parseProfile(
      JSON.stringify({
        apiVersion: "tlsboot/v1alpha1",
        kind: "SigningProfile",
        usages: { allowed: ["server auth"] },
        lifetime: { max: "24h" },
        ...content,
      }),
    );
    if (read.ok) assert.ok(describeProfile(createCustomProfile("example.com/x", read.value)).length > 0);
    else assert.ok(read.error.length > 0);
  }));
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.string({ unit: fc.constantFrom(..."ab:-[]{}&*!|> \n\t#\"'") })), (text) => {
      assert.equal(parseProfile(text).ok, false);
    }),
  );
});
