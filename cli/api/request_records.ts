/** What the server knows about requests beyond the requests: their origin, and who decided about them. */
import { type ApiClient, listAll } from "../../client/objects/api.ts";
import { AppError } from "../../core/errors.ts";
import { requestRecordKind } from "../../core/kube/kinds/mod.ts";
import { formatCollectionPath, formatObjectPath } from "../../core/kube/schema.ts";
import type { RequestRecord } from "../../core/kube/kinds/tlsboot_v1alpha1.ts";

/** Reads the records of named requests; undefined when the server has none, or the user may not read them. */
export async function findRequestRecords(
  api: ApiClient,
  names: readonly string[],
  signal: AbortSignal,
): Promise<readonly RequestRecord[] | undefined> {
  try {
    const [name = "", ...others] = names;
    if (others.length > 0) {
      return (await listAll<RequestRecord>(api, formatCollectionPath(requestRecordKind), {}, signal)).items;
    }
    return [
      await api.requestObject<RequestRecord>(
        { method: "GET", path: formatObjectPath(requestRecordKind, name) },
        signal,
      ),
    ];
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AppError)) throw error;
    return undefined;
  }
}
