/** Parses requests and nodes in files, for `policy explain` and `policy test`. */
import { decodeObject } from "../../../core/kube/wire/object_json.ts";
import { parseYaml } from "../../../core/kube/wire/yaml.ts";
import type { CertificateSigningRequest } from "../../../core/kube/kinds/certificates_v1.ts";
import { certificateSigningRequestKind, nodeKind } from "../../../core/kube/kinds/mod.ts";
import { isJsonObject } from "../../../core/kube/json_value.ts";
import type { Kind } from "../../../core/kube/schema.ts";
import { AppError, getErrorMessage } from "../../../core/errors.ts";
import { encodeBase64 } from "../../../core/lib/encodings.ts";
import type { ReportingNode } from "../../../core/approval/evidence/ownership.ts";

/** The requester and the parameters of a request, which a CSR object contains and a PEM block does not. */
interface RequestIdentity {
  readonly signerName: string | undefined;
  readonly username: string | undefined;
  readonly groups: readonly string[];
  readonly usages: readonly string[];
  readonly expirationSeconds?: number | undefined;
}

/**
 * Parses a request from the text of a file: a PEM block or a CSR object. The identity fills in the fields that the file
 * does not have. Throws AppError `invalid` with the path.
 */
export function parseCsrFile(text: string, path: string, identity: RequestIdentity): CertificateSigningRequest {
  const isPem = /^-----BEGIN /m.test(text) && !/^[ \t]*("?apiVersion|\{)/m.test(text);
  const csr = isPem ? pemRequest(text, path) : decodeCsr(text, path);
  const { spec } = csr;
  const signerName = spec.signerName === "" ? identity.signerName : spec.signerName;
  if (signerName === undefined) throw fault(path, "it has no signer", "give one with --signer");
  const username = spec.username ?? identity.username;
  const seconds = spec.expirationSeconds ?? identity.expirationSeconds;
  return {
    ...csr,
    spec: {
      request: spec.request,
      signerName,
      ...(seconds === undefined ? {} : { expirationSeconds: seconds }),
      usages: spec.usages ?? identity.usages,
      ...(username === undefined ? {} : { username }),
      groups: spec.groups ?? identity.groups,
    },
  };
}

/** Parses the nodes in the first document of a file: one Node or a list. Throws AppError `invalid` with the path. */
export function parseNodesFile(text: string, path: string): readonly ReportingNode[] {
  return toItems(parse(text, path)).map((item) => decode<ReportingNode>(nodeKind, item, path));
}

function pemRequest(text: string, path: string): CertificateSigningRequest {
  return {
    metadata: { name: path },
    spec: { request: encodeBase64(text), signerName: "" },
    status: {},
  };
}

function decodeCsr(text: string, path: string): CertificateSigningRequest {
  const [first, ...more] = toItems(parse(text, path));
  if (more.length > 0) throw fault(path, "it has several objects", "give one request at a time");
  return decode(certificateSigningRequestKind, first, path);
}

function parse(text: string, path: string): unknown {
  try {
    return parseYaml(text).value;
  } catch (error) {
    throw fault(path, getErrorMessage(error), "give YAML or JSON as kubectl get -o yaml prints it, or PEM");
  }
}

function toItems(value: unknown): readonly unknown[] {
  if (!isJsonObject(value)) return [value];
  return Array.isArray(value["items"]) ? value["items"] : [value];
}

function decode<T>(kind: Kind, value: unknown, path: string): T {
  if (!isJsonObject(value) || value["kind"] !== undefined && value["kind"] !== kind.kind) {
    throw fault(path, `no ${kind.kind} found`, `give a ${kind.kind} as kubectl get -o yaml prints it`);
  }
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = value;
  try {
    // T is the type that the schema of the kind describes.
    return decodeObject(kind.schema, rest).object as T;
  } catch (error) {
    throw fault(path, getErrorMessage(error), `give a ${kind.kind} as kubectl get -o yaml prints it`);
  }
}

function fault(path: string, what: string, hint: string): AppError {
  return new AppError("invalid", `cannot use "${path}": ${what}`, { hint });
}
