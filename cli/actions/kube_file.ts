/** Kubernetes objects and requests in files: what `approver explain` and `approver test` are given. */
import { decodeObject } from "../../core/kube/codec/mod.ts";
import { parseYaml } from "../../core/kube/codec/yaml.ts";
import type { CertificateSigningRequest } from "../../core/kube/certificates_v1.ts";
import { certificateSigningRequestKind, nodeKind } from "../../core/kube/kinds/mod.ts";
import { isJsonObject } from "../../core/kube/json_value.ts";
import type { Kind } from "../../core/kube/schema.ts";
import { AppError, getErrorMessage } from "../../core/errors.ts";
import { encodeBase64 } from "../../core/lib/base64.ts";
import type { ReportingNode } from "../../core/approval/node_names.ts";

/** Who asks, and what for: what a CSR object says and a PEM block does not. */
export interface RequestIdentity {
  readonly signerName: string | undefined;
  readonly username: string | undefined;
  readonly groups: readonly string[];
  readonly usages: readonly string[];
  readonly expirationSeconds: number | undefined;
}

/**
 * A request from the text of a file: a PEM block with an identity, or a CSR object, whose own fields an identity only
 * completes. AppError `invalid` with the path.
 */
export function parseCsrFile(text: string, path: string, identity: RequestIdentity): CertificateSigningRequest {
  const isPem = /^-----BEGIN /m.test(text) && !/^[ \t]*("?apiVersion|\{)/m.test(text);
  const given = isPem ? pemRequest(text, path) : decodeCsr<CertificateSigningRequest>(text, path);
  const { spec } = given;
  const signerName = spec.signerName === "" ? identity.signerName : spec.signerName;
  if (signerName === undefined) throw fault(path, "it names no signer", "name it with --signer-name");
  const username = spec.username ?? identity.username;
  const seconds = spec.expirationSeconds ?? identity.expirationSeconds;
  return {
    ...given,
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

/** Nodes from the text of a file: one Node, a list, or several documents' first. AppError `invalid` with the path. */
export function parseNodesFile(text: string, path: string): readonly ReportingNode[] {
  return toItems(parse(text, path)).map((item) => decode<ReportingNode>(nodeKind, item, path));
}

function pemRequest(text: string, path: string): CertificateSigningRequest {
  return {
    metadata: { name: path },
    spec: { request: encodeBase64(new TextEncoder().encode(text)), signerName: "" },
    status: {},
  };
}

function decodeCsr<T extends CertificateSigningRequest>(text: string, path: string): T {
  const [first, ...more] = toItems(parse(text, path));
  if (more.length > 0) throw fault(path, "it holds several objects", "give one request at a time");
  return decode<T>(certificateSigningRequestKind, first, path);
}

function parse(text: string, path: string): unknown {
  try {
    return parseYaml(text).value;
  } catch (error) {
    // The name may be all of a text that was not meant to be read.
    const what = getErrorMessage(error).replace(/^yaml: unknown anchor .*/s, "yaml: unknown anchor referenced");
    throw fault(path, what, "give YAML or JSON as kubectl get -o yaml prints it, or PEM");
  }
}

function toItems(value: unknown): readonly unknown[] {
  if (!isJsonObject(value)) return [value];
  return Array.isArray(value["items"]) ? value["items"] : [value];
}

function decode<T>(kind: Kind, value: unknown, path: string): T {
  if (!isJsonObject(value) || value["kind"] !== undefined && value["kind"] !== kind.kind) {
    throw fault(path, `no ${kind.kind} found`, `give what kubectl get -o yaml prints of a ${kind.kind}`);
  }
  const { apiVersion: _apiVersion, kind: _kind, ...rest } = value;
  try {
    // The kind's description decides what is in it; T is that description's type.
    return decodeObject(kind.schema, rest).object as T;
  } catch (error) {
    throw fault(path, getErrorMessage(error), `give what kubectl get -o yaml prints of a ${kind.kind}`);
  }
}

function fault(path: string, what: string, hint: string): AppError {
  return new AppError("invalid", `cannot use "${path}": ${what}`, { hint });
}
