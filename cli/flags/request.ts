/** Flags for commands that request a certificate, and parsers for the names in a certificate as users type them. */
import { isIPv6 } from "node:net";
import { hostname } from "node:os";
import { isPlainWord } from "../../core/lib/printable.ts";
import { KEY_USAGES } from "../../core/kube/kinds/constants.ts";
import { err, ok, type Result } from "../../core/lib/result.ts";
import { KEY_ALGORITHMS, ML_DSA_KEY_ALGORITHMS, parsePublicKeyPin } from "../../core/pki/keys/key_names.ts";
import { type NodeName, parseNodeName } from "../../core/machine/node_name.ts";
import { choiceFlag, durationFlag, fileFlag, type Flag, type FlagOptions, parsedListFlag } from "../framework/flags.ts";
import { UsageError } from "../exit_code.ts";
import { canonicalIp, parseIpAddress } from "../../core/lib/ip_address.ts";
import { findDnsNameFault, parseUri } from "../../core/pki/x509/name_syntax.ts";

/** The flag `--key-algorithm`, for commands that make a key. */
export const KEY_ALGORITHM = choiceFlag({
  choices: [...KEY_ALGORITHMS, ...ML_DSA_KEY_ALGORITHMS],
  default: "ecdsa-p256",
  placeholder: "ALGORITHM",
  summary: "Algorithm of the new key. Few programs support ml-dsa-* yet: see docs/guides/post_quantum.md.",
});

/** The flag `--key-algorithm` for certificates that other programs must read. */
export const CLASSIC_KEY_ALGORITHM = choiceFlag({
  choices: KEY_ALGORITHMS,
  default: "ecdsa-p256",
  placeholder: "ALGORITHM",
  summary: "Algorithm of the new key.",
});

/** The flag `--ca-cert-hash` for commands that do not know the CA yet. */
export const CA_CERT_HASH = parsedListFlag({
  placeholder: "HASH",
  summary:
    "sha256:... of the public key of the CA, as tlsboot ca show and kubeadm print it; may be repeated. CAs with " +
    "other keys are refused.",
  parse: parsePublicKeyPin,
});

/** The flag `--proof-from`, which selects another device or key file for the proof. */
export const PROOF_FROM_FLAG = fileFlag({
  isCommandLineOnly: true,
  summary:
    "Device or socket of the TPM, or file of the SSH host key, to make the proof with. Without it, /dev/tpmrm0, or " +
    "the first host key of sshd in /etc/ssh.",
});

/**
 * Returns the node name in `--hostname-override`, or else the host name, as kubelet does. Throws UsageError for a name that
 * a node cannot have.
 */
export function resolveNodeName(given: string | undefined): NodeName {
  const name = parseNodeName(given ?? hostname());
  if (name.ok) return name.value;
  throw new UsageError(
    name.error,
    given === undefined
      ? "give the node's name with --hostname-override"
      : "use the letters a to z without accents, digits, - and . only, such as buero-1",
  );
}

/** The flag `--timeout`. Its default is client-go's (`util/certificate/certificate_manager.go`). */
export const REQUEST_TIMEOUT = durationFlag({
  default: "15m",
  summary: "How long to wait for the approval and the certificate.",
});

/**
 * Creates a flag for the requested lifetime of a certificate. The API accepts ten minutes or more
 * (`pkg/apis/certificates/validation/validation.go`) and stores the seconds in an int32.
 */
export function lifetimeFlag<D extends string | undefined = undefined>(
  options: FlagOptions & { readonly default?: D },
): Flag<number | (D extends string | number ? never : undefined)> {
  return durationFlag({ ...options, min: "10m", max: "596523h" });
}

/** Converts a lifetime in milliseconds to the `expirationSeconds` of a request. Without one, the signer decides. */
export function toExpirationSeconds(lifetimeMs: number | undefined): number | undefined {
  return lifetimeMs === undefined ? undefined : Math.floor(lifetimeMs / 1000);
}

/** The usages of the API, with hyphens so that they need no quotes. */
export const USAGE_CHOICES: readonly string[] = KEY_USAGES.map((usage) => usage.replaceAll(" ", "-"));

/** Parses the address of an API server: `https://host:port`, or kubeadm's `host:port`. */
export function parseServerUrl(text: string): Result<string, string> {
  const url = URL.parse(text.includes("://") ? text : `https://${text}`);
  const isBare = url !== null && url.pathname === "/" && url.search === "" && url.hash === "" && url.username === "";
  return isBare && url.protocol === "https:" ? ok(url.origin) : err(describeServerUrl(text));
}

/** Parses the URL of an API server for a file or a command: https, and without characters that a shell interprets. */
export function parseClusterUrl(text: string): Result<string, string> {
  return URL.parse(text)?.protocol === "https:" && isPlainWord(text) ? ok(text) : err(describeServerUrl(text));
}

/** Describes the wanted form of a server address. */
function describeServerUrl(text: string): string {
  const [, host = "", port = ""] = /^(?:https:\/\/)?(.+):(\d+)\/?$/.exec(text) ?? [];
  return isIPv6(host)
    ? `want https://[${host}]:${port}, with brackets around an IPv6 address`
    : "want https://host:port";
}

/** Parses a DNS name, which may have a wildcard as its first label. */
export function parseRequestedDnsName(text: string): Result<string, string> {
  if (parseIpAddress(text) !== undefined) return err("it is an IP address: give it with --ip");
  const fault = findDnsNameFault(text.replace(/^\*\./, "").toLowerCase());
  return fault === undefined ? ok(text) : err(`want a DNS name: ${fault}`);
}

/** Parses an IP address into its canonical text. */
export function parseRequestedIpAddress(text: string): Result<string, string> {
  const address = canonicalIp(text);
  return address === undefined ? err("want an IP address") : ok(address);
}

/** Parses a URI with a scheme into the form in which Go writes it into a certificate. */
export function parseRequestedUri(text: string): Result<string, string> {
  const uri = parseUri(text);
  if ("fault" in uri || !/^[a-z][a-z0-9+.-]*:./i.test(text)) {
    return err("want a URI such as spiffe://example.com/web");
  }
  return ok(uri.text);
}

/** Checks that a text is an email address in ASCII. */
export function parseRequestedEmail(text: string): Result<string, string> {
  return /^[!-?A-~]+@[!-?A-~]+$/.test(text) ? ok(text) : err("want an email address");
}

/** Parses a usage by its name in the API, in which hyphens may replace the spaces. */
export function parseRequestedUsage(text: string): Result<string, string> {
  const usage = KEY_USAGES.find((name) => name === text || name.replaceAll(" ", "-") === text.toLowerCase());
  if (usage !== undefined) return ok(usage);
  return err(`want one of ${USAGE_CHOICES.join(", ")}`);
}
