/**
 * Translates connection errors of Node and Deno into AppError `unreachable` or `tls_untrusted`, and says in Go's words why a
 * certificate is not for a host.
 */
import { canonicalIp, withoutBrackets } from "../../core/lib/ip_address.ts";
import type { HttpProxy } from "../../core/lib/proxy.ts";
import { AppError, findErrorCode, getErrorMessage } from "../../core/errors.ts";
import { formatTime } from "../../core/kube/meta.ts";
import { parseCaBundle } from "../../core/pki/x509/ca_bundle.ts";
import { isMlDsa } from "../../core/pki/keys/key_names.ts";
import { hasMlDsa, NO_ML_DSA } from "../../core/pki/keys/ml_dsa.ts";
import type { CertificateFacts } from "../../core/pki/x509/certificate.ts";

/** Reports whether the server had already closed a kept-alive connection, so that the transport tries again. */
export function isClosedWhileIdle(error: unknown): boolean {
  return error instanceof Error && "reusedSocket" in error && error.reusedSocket === true &&
    ["ECONNRESET", "EPIPE"].includes(findErrorCode(error));
}

/** Creates the typed error for a failed connection to `server`, whose certificate must have the name `tlsName`. */
export function toConnectionError(
  error: unknown,
  server: URL,
  tlsName: string,
  proxy?: Pick<HttpProxy, "origin">,
): AppError {
  if (error instanceof AppError) return error;
  const code = findErrorCode(error);
  const text = getErrorMessage(error);
  const trust = TRUST_FAULTS.find((fault) => fault.codes.includes(code) || fault.text.test(text));
  if (trust !== undefined) {
    const what = trust.describe(tlsName, text);
    return new AppError("tls_untrusted", `cannot trust "${server.origin}": ${what}`, {
      cause: error,
      hint: trust.hint,
    });
  }
  const reach = REACH_FAULTS[code] ?? REACH_FAULTS[findCodeInText(text)];
  const through = proxy === undefined ? "" : ` through the proxy "${proxy.origin}"`;
  return new AppError("unreachable", `cannot reach "${server.origin}"${through}: ${reach?.text ?? text}`, {
    cause: error,
    retryable: true,
    hint: reach?.hint ?? "check the server address, and that the server runs",
  });
}

/**
 * Finds the error for a certificate that was refused because of its lifetime. Its times show whether the certificate or
 * this machine's clock is wrong. Undefined when the lifetime is not the reason.
 */
export function findLifetimeError(
  refused: AppError,
  server: URL,
  validity: Pick<CertificateFacts, "notBefore" | "notAfter"> | undefined,
  now: Date,
): AppError | undefined {
  if (validity === undefined) return undefined;
  const clockSays = `this machine's clock says ${formatTime(now)}`;
  if (validity.notAfter < now) {
    const what = `its serving certificate expired at ${formatTime(validity.notAfter)} (${clockSays})`;
    return new AppError("tls_untrusted", `cannot trust "${server.origin}": ${what}`, {
      cause: refused,
      hint: "renew the server's certificate, or set this machine's clock if it runs ahead",
    });
  }
  if (validity.notBefore <= now) return undefined;
  const what = `its serving certificate is not valid before ${formatTime(validity.notBefore)} (${clockSays})`;
  return new AppError("tls_untrusted", `cannot trust "${server.origin}": ${what}`, {
    cause: refused,
    hint: "set this machine's clock: it runs behind the server's",
  });
}

/** Finds the error for a server that may be untrusted because this runtime cannot verify signatures of its CA. */
export function findAlgorithmError(refused: AppError, server: URL, caPem: string): AppError | undefined {
  const cas = hasMlDsa() ? undefined : parseCaBundle(caPem);
  const ca = cas?.ok === true ? cas.value.find(({ keyAlgorithm }) => isMlDsa(keyAlgorithm)) : undefined;
  if (ca === undefined) return undefined;
  const what = `its CA has a key of ${ca.keyAlgorithm}: ${NO_ML_DSA}`;
  return new AppError("tls_untrusted", `cannot trust "${server.origin}": ${what}`, { cause: refused });
}

/** The hint for a host name that is not in the certificate. */
export const HOST_HINT =
  "use an address that the certificate names, set tls-server-name, or add the name to the server's certificate";

interface TrustFault {
  /** Values of `error.code` in Node, from OpenSSL's X509_V_ERR names. */
  readonly codes: readonly string[];
  /** The text of the error in Deno (rustls). */
  readonly text: RegExp;
  readonly describe: (tlsName: string, text: string) => string;
  readonly hint: string;
}

const TRUST_FAULTS: readonly TrustFault[] = [
  {
    codes: ["CERT_HAS_EXPIRED"],
    text: /invalid peer certificate: (?:certificate )?expired|certificate has expired/i,
    describe: () => "its serving certificate has expired",
    hint: "renew the server's certificate, or set this machine's clock if it runs ahead",
  },
  {
    codes: ["CERT_NOT_YET_VALID"],
    text: /NotValidYet|not valid yet|not yet valid/i,
    describe: () => "its serving certificate is not valid yet by this machine's clock",
    hint: "set this machine's clock: it runs behind the server's",
  },
  {
    codes: ["ERR_TLS_CERT_ALTNAME_INVALID"],
    text: /NotValidForName|not valid for (any )?names?/i,
    describe: (tlsName) => `its serving certificate is not valid for the name "${tlsName}"`,
    hint: HOST_HINT,
  },
  {
    // Node has no code for these two, only OpenSSL's text.
    codes: [],
    text: /NameConstraintViolation|(permitted|excluded) subtree violation/i,
    describe: () => "its serving certificate has a name for which its CA may not issue",
    hint: "compare the certificate's names with the name constraints of its CA: tlsboot inspect shows both",
  },
  {
    // Node reports every other OpenSSL error as UNSPECIFIED, with the reason in the text.
    codes: ["INVALID_PURPOSE", "PATH_LENGTH_EXCEEDED", "CERT_CHAIN_TOO_LONG", "CERT_REJECTED", "UNSPECIFIED"],
    text:
      /PathLenConstraintViolated|InvalidPurpose|UnhandledCriticalExtension|EndEntityUsedAsCa|MaximumSignatureChecks/i,
    describe: (_tlsName, text) => `its certificates break a rule: ${text}`,
    hint: "inspect the server's certificate and its CAs with: tlsboot inspect FILE",
  },
  {
    codes: [
      "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
      "UNABLE_TO_GET_ISSUER_CERT",
      "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
      "SELF_SIGNED_CERT_IN_CHAIN",
      "DEPTH_ZERO_SELF_SIGNED_CERT",
      "CERT_SIGNATURE_FAILURE",
      "INVALID_CA",
      "CERT_UNTRUSTED",
    ],
    text: /UnknownIssuer|BadSignature|CaUsedAsEndEntity|invalid peer certificate/i,
    describe: () => "its serving certificate is signed by an unknown authority",
    hint: "check certificate-authority in the kubeconfig: it must hold the CA that signed the server's certificate",
  },
  {
    // The server or this client no longer supports the offered version.
    codes: ["ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION", "ERR_SSL_UNSUPPORTED_PROTOCOL"],
    text: /alert protocol version|unsupported protocol|ProtocolVersion|ServerDoesNotSupportTls12Or13/i,
    describe: () => "it supports no secure TLS version: 1.2 is the oldest",
    hint: "enable TLS 1.2 or 1.3 on the server",
  },
  {
    codes: ["ERR_SSL_WRONG_VERSION_NUMBER", "EPROTO"],
    text: /wrong version number|InvalidContentType|corrupt message/i,
    describe: () => "it does not speak TLS",
    hint: "check the port: it may serve plain HTTP",
  },
];

interface ReachFault {
  readonly text: string;
  readonly hint: string;
}

const REACH_FAULTS: Readonly<Record<string, ReachFault>> = {
  ECONNREFUSED: { text: "connection refused", hint: "check that the server runs and listens on that address and port" },
  ENOTFOUND: { text: "no such host", hint: "check the host name, and this machine's DNS" },
  EAI_AGAIN: { text: "the name cannot be resolved now", hint: "check this machine's DNS" },
  ETIMEDOUT: { text: "connection timed out", hint: "check the address, and that no firewall drops the connection" },
  EHOSTUNREACH: { text: "no route to host", hint: "check the address and this machine's network" },
  ENETUNREACH: { text: "network is unreachable", hint: "check this machine's network" },
  ECONNRESET: { text: "connection closed by the server", hint: "check that the server runs; it may be restarting" },
};

/** Finds the code of a failure that Deno reports only as text. */
function findCodeInText(text: string): string {
  if (/connection refused/i.test(text)) return "ECONNREFUSED";
  if (/failed to lookup address|name or service not known|nodename nor servname/i.test(text)) return "ENOTFOUND";
  if (/timed out/i.test(text)) return "ETIMEDOUT";
  if (/connection reset|unexpected end|unexpectedeof|socket hang up|aborted/i.test(text)) return "ECONNRESET";
  return "";
}

/** Describes a mismatch in Go's words; undefined when the certificate is for the host. An IPv6 address may have brackets. */
export function findHostFault(certificate: CertificateFacts, host: string): string | undefined {
  const { dnsNames, ipAddresses } = certificate;
  const address = canonicalIp(withoutBrackets(host));
  if (address !== undefined) {
    if (ipAddresses.includes(address)) return undefined;
    if (ipAddresses.length === 0) {
      return `x509: cannot validate certificate for ${host} because it doesn't contain any IP SANs`;
    }
    return `x509: certificate is valid for ${ipAddresses.join(", ")}, not ${host}`;
  }
  const wanted = host.replace(/\.$/, "").toLowerCase();
  if (dnsNames.some((name) => matchesHost(name.toLowerCase(), wanted))) return undefined;
  const { emailAddresses, uris } = certificate;
  const hasNoNames = [dnsNames, ipAddresses, emailAddresses, uris].every((names) => names.length === 0);
  if (hasNoNames && certificate.subject.commonName !== "") {
    return "x509: certificate relies on legacy Common Name field, use SANs instead";
  }
  return dnsNames.length === 0
    ? `x509: certificate is not valid for any names, but wanted to match ${host}`
    : `x509: certificate is valid for ${dnsNames.join(", ")}, not ${host}`;
}

/** Reports whether a name matches a host, both in lower case. */
function matchesHost(name: string, host: string): boolean {
  if (!name.startsWith("*.")) return name === host && !name.includes("*");
  const dot = host.indexOf(".");
  // The rest of the name has no asterisk, and the label that the asterisk stands for is not empty.
  return dot > 0 && host.slice(dot) === name.slice(1) && !name.slice(1).includes("*");
}
