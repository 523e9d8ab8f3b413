/** Requests that cover every rule of a signer, in the terms of OpenSSL, which creates them. */
import {
  KEY_USAGES,
  KUBE_APISERVER_CLIENT_KUBELET_SIGNER as KUBELET_CLIENT,
  KUBE_APISERVER_CLIENT_SIGNER as CLIENT,
  KUBELET_SERVING_SIGNER as SERVING,
  LEGACY_UNKNOWN_SIGNER as LEGACY,
} from "../../../core/kube/kinds/constants.ts";

/** Keys as `openssl genpkey` takes them. */
export const KEYS = {
  "rsa-2048": ["RSA", "rsa_keygen_bits:2048"],
  "rsa-3072": ["RSA", "rsa_keygen_bits:3072"],
  "rsa-4096": ["RSA", "rsa_keygen_bits:4096"],
  "p-256": ["EC", "ec_paramgen_curve:P-256"],
  "p-384": ["EC", "ec_paramgen_curve:P-384"],
  "p-521": ["EC", "ec_paramgen_curve:P-521"],
  "ed25519": ["ED25519"],
} as const;

export type KeyName = keyof typeof KEYS;

export interface SigningCase {
  /** A unique name, also used as the name of the request. */
  readonly name: string;
  readonly signerName: string;
  readonly usages: readonly string[];
  /** The subject, as for `openssl req -subj`. */
  readonly subject: string;
  readonly key?: KeyName;
  readonly expirationSeconds?: number;
  /** Lines for the extensions section of OpenSSL's configuration. */
  readonly extensions?: readonly string[];
  /** How OpenSSL encodes the subject's strings. */
  readonly stringMask?: "default" | "nombstr" | "pkix" | "utf8only";
  /** Whether the signature does not match the request. */
  readonly isForged?: boolean;
}

/** Reports whether the API refuses a request, which a test then writes directly to etcd. */
export function isRefusedByApi(
  { signerName, usages, expirationSeconds = 600, isForged = false }: SigningCase,
): boolean {
  const areUsagesValid = usages.length > 0 && new Set(usages).size === usages.length &&
    usages.every((usage) => KEY_USAGES.includes(usage));
  return signerName === LEGACY || isForged || expirationSeconds < 600 || !areUsagesValid;
}

const NODE = "/O=system:nodes/CN=system:node:n1";
const CLIENT_USAGES = ["digital signature", "client auth"];
const SERVING_USAGES = ["digital signature", "server auth"];
const NAMES = ["subjectAltName=DNS:n1.example,IP:10.0.0.1"];
const kubelet = { signerName: KUBELET_CLIENT, usages: CLIENT_USAGES, subject: NODE };
const serving = { signerName: SERVING, usages: SERVING_USAGES, subject: NODE, extensions: NAMES };
const client = { signerName: CLIENT, usages: CLIENT_USAGES, subject: "/CN=alice" };
const legacy = { signerName: LEGACY, usages: ["digital signature"], subject: "/CN=legacy" };

const keys = Object.keys(KEYS) as readonly KeyName[];

/** Subjects of every kind. The client signer accepts all of them. */
const SUBJECTS: readonly Pick<SigningCase, "name" | "subject" | "stringMask">[] = [
  { name: "empty", subject: "/" },
  { name: "organizations out of order", subject: "/O=zebra/O=ant/O=mole/CN=alice" },
  { name: "the same organization twice", subject: "/O=ant/O=ant/CN=alice" },
  {
    name: "every attribute that is kept",
    subject: "/serialNumber=7/CN=alice/postalCode=8000/street=Way 1/ST=ZH/L=Zurich/OU=two/OU=one/O=ant/C=CH",
  },
  { name: "several values in one set", subject: "/CN=alice+O=ant+OU=one" },
  { name: "two common names", subject: "/CN=first/CN=last" },
  { name: "two serial numbers", subject: "/CN=alice/serialNumber=1/serialNumber=2" },
  { name: "attributes that are dropped", subject: "/DC=example/CN=alice/emailAddress=a@b.c/UID=77/title=Dr/GN=A/SN=B" },
  { name: "an unknown attribute", subject: "/CN=alice/unknownAttribute=x" },
  { name: "umlauts as UTF8String", subject: "/O=Bär \\+ Söhne/CN=Zoë", stringMask: "utf8only" },
  { name: "umlauts as BMPString", subject: "/O=Bär/CN=Zoë Ж", stringMask: "pkix" },
  { name: "umlauts as T61String", subject: "/O=Bär/CN=Zoë", stringMask: "nombstr" },
  { name: "PrintableString", subject: "/O=Ant (Inc.), '1+2=3'/CN=alice", stringMask: "default" },
  { name: "a star and an ampersand", subject: "/O=Ant & Bee/CN=*.example" },
  { name: "an at sign and an underscore", subject: "/CN=a_b@example" },
  { name: "white space at the ends", subject: "/CN= alice " },
  { name: "a long common name", subject: `/CN=${"a".repeat(64)}` },
];

/** Subject alternative names and requested extensions. */
const EXTENSIONS: readonly Pick<SigningCase, "name" | "extensions">[] = [
  {
    name: "names of four kinds, out of order",
    extensions: [
      "subjectAltName=URI:spiffe://a/b,IP:10.0.0.2,email:a@b.c,DNS:b.example,IP:2001:db8::1,DNS:a.example,IP:0.0.0.0",
    ],
  },
  {
    name: "names of other kinds",
    extensions: ["subjectAltName=DNS:a.example,RID:1.2.3.4,otherName:1.2.3.4;UTF8:other,dirName:directory"],
  },
  { name: "names of other kinds alone", extensions: ["subjectAltName=RID:1.2.3.4"] },
  {
    name: "a wildcard and an underscore",
    extensions: ["subjectAltName=DNS:*.example,DNS:_srv.example,DNS:UPPER.Example"],
  },
  { name: "the same name twice", extensions: ["subjectAltName=DNS:a.example,DNS:a.example"] },
  { name: "a mapped IPv4 address", extensions: ["subjectAltName=IP:::ffff:10.0.0.9"] },
  {
    name: "a URI with all its parts",
    extensions: ["subjectAltName=URI:https://u@a.example:8443/p%20q/?x=1&y=%2F#frag"],
  },
  { name: "names that are critical", extensions: ["subjectAltName=critical,DNS:a.example"] },
  {
    name: "extensions that are dropped",
    extensions: [
      "basicConstraints=critical,CA:TRUE,pathlen:3",
      "keyUsage=critical,keyCertSign,cRLSign",
      "extendedKeyUsage=serverAuth,codeSigning",
      "subjectKeyIdentifier=hash",
      "certificatePolicies=1.2.3.4",
      "1.2.3.4.5=critical,ASN1:UTF8String:custom",
      "subjectAltName=DNS:a.example",
    ],
  },
];

const LIFETIMES: readonly (number | undefined)[] = [
  undefined,
  600,
  601,
  1_800,
  2 * 3_600,
  8 * 3_600 - 1,
  8 * 3_600,
  10 * 3_600,
  20 * 3_600,
  24 * 3_600,
  48 * 3_600,
  2_147_483_647,
];

/** Cases in which one CA signs for all signers. */
export const CASES: readonly SigningCase[] = [
  ...keys.map((key) => ({ name: `kubelet client with ${key}`, ...kubelet, key })),
  ...keys.map((key) => ({ name: `kubelet serving with ${key}`, ...serving, key })),
  ...LIFETIMES.map((seconds) => ({ name: `kubelet client for ${seconds} s`, ...kubelet, ...toLifetime(seconds) })),
  ...[-5, 0, 1, 599].map((seconds) => ({ name: `stored, for ${seconds} s`, ...client, ...toLifetime(seconds) })),
  ...SUBJECTS.map((one) => ({ ...client, ...one, name: `subject: ${one.name}` })),
  ...EXTENSIONS.map((one) => ({ ...client, ...one, name: `extensions: ${one.name}` })),
  { ...client, name: "no subject, critical names", subject: "/", extensions: NAMES },
  ...KEY_USAGES.map((usage) => ({ ...legacy, name: `legacy for ${usage}`, usages: [usage] })),
  { ...legacy, name: "legacy for everything", usages: [...KEY_USAGES].reverse() },
  { ...legacy, name: "legacy without usages", usages: [] },
  { ...legacy, name: "legacy for any and server auth, twice", usages: ["server auth", "any", "server auth"] },
  ...KEY_USAGES.map((usage) => ({ ...client, name: `client for ${usage}`, usages: ["client auth", usage] })),
  { ...client, name: "client without client auth", usages: ["digital signature", "key encipherment"] },
  { ...kubelet, name: "kubelet client, three usages", usages: [...CLIENT_USAGES, "key encipherment"] },
  { ...kubelet, name: "kubelet client, a usage twice", usages: ["client auth", ...CLIENT_USAGES] },
  { ...kubelet, name: "kubelet client, a usage too many", usages: [...CLIENT_USAGES, "server auth"] },
  { ...kubelet, name: "kubelet client, a usage too few", usages: ["client auth"] },
  { ...kubelet, name: "kubelet client, empty node name", subject: "/O=system:nodes/CN=system:node:" },
  { ...kubelet, name: "kubelet client, another name", subject: "/O=system:nodes/CN=mike" },
  { ...kubelet, name: "kubelet client, no organization", subject: "/CN=system:node:n1" },
  { ...kubelet, name: "kubelet client, two organizations", subject: "/O=system:nodes/O=more/CN=system:node:n1" },
  { ...kubelet, name: "kubelet client, more in the subject", subject: `${NODE}/OU=unit/L=here` },
  ...["DNS:a.example", "email:a@b.c", "IP:10.0.0.1", "URI:spiffe://a/b", "RID:1.2.3.4"].flatMap((name) => [
    { ...kubelet, name: `kubelet client with ${name}`, extensions: [`subjectAltName=${name}`] },
    { ...serving, name: `kubelet serving with ${name}`, extensions: [`subjectAltName=${name}`] },
    { ...serving, name: `kubelet serving with ${name} too`, extensions: [`subjectAltName=DNS:b.example,${name}`] },
  ]),
  { ...serving, name: "kubelet serving without names", extensions: [] },
  { ...serving, name: "kubelet serving, three usages", usages: [...SERVING_USAGES, "key encipherment"] },
  { ...serving, name: "kubelet serving for a client", usages: CLIENT_USAGES },
  { ...serving, name: "kubelet serving, another name", subject: "/O=system:nodes/CN=mike" },
  { ...serving, name: "kubelet serving, another organization", subject: "/O=mice/CN=system:node:n1" },
  { ...serving, name: "kubelet serving, all wrong", subject: "/CN=mike", usages: [], extensions: [] },
  { ...legacy, name: "unknown usages", usages: ["a b", "client auth", 'quote"', "é"] },
  { ...legacy, name: "a forged RSA signature", key: "rsa-2048", isForged: true },
  { ...legacy, name: "a forged ECDSA signature", key: "p-256", isForged: true },
  { ...legacy, name: "a forged Ed25519 signature", key: "ed25519", isForged: true },
  { ...kubelet, name: "a forged signature and a broken rule", subject: "/CN=mike", isForged: true },
];

/** Requests for key encipherment. Kubelets request it only with RSA keys; signers accept it with every key. */
export const ENCIPHERMENT_CASES: readonly SigningCase[] = keys.flatMap((key) =>
  [kubelet, serving].map((one) => ({
    ...one,
    name: `${one.signerName} for key encipherment with ${key}`,
    key,
    usages: [...one.usages, "key encipherment"],
  }))
);

/** Cases that depend on the CA: requests for each signer, and one with the subject of the CA. */
export const CA_CASES: readonly SigningCase[] = [
  { ...kubelet, name: "kubelet client" },
  { ...serving, name: "kubelet serving" },
  { ...client, name: "client" },
  { ...client, name: "client with the CA's name", subject: "/CN=same" },
  { ...legacy, name: "legacy" },
  { ...client, name: "client for an hour", expirationSeconds: 3_600 },
];

/** Cases for a signing duration below ten minutes. */
export const SHORT_DURATION_CASES: readonly SigningCase[] = [
  { ...client, name: "without a requested lifetime" },
  { ...client, name: "for an hour", expirationSeconds: 3_600 },
  { ...client, name: "for a minute", expirationSeconds: 60 },
];

function toLifetime(seconds: number | undefined): { readonly expirationSeconds?: number } {
  return seconds === undefined ? {} : { expirationSeconds: seconds };
}
