/** Lists whole collections at one revision, page by page. */
import type { KubeObject } from "../../core/kube/meta.ts";
import { StatusError } from "../../core/kube/status.ts";
import type { ApiClient } from "./api.ts";

/** The number of objects in a page, as in client-go. */
const PAGE_SIZE = "500";

/** All objects of a collection at one revision. */
export interface Listing<T> {
  readonly items: readonly T[];
  /** The version from which a watch continues. */
  readonly resourceVersion: string;
}

/** Lists a collection page by page. When a continue token expires, it lists again in one piece, as client-go does. */
export async function listAll<T extends KubeObject>(
  api: ApiClient,
  collection: string,
  parameters: Readonly<Record<string, string>>,
  signal: AbortSignal,
): Promise<Listing<T>> {
  const items: T[] = [];
  let next = "";
  try {
    do {
      const page = next === ""
        ? { ...parameters, limit: PAGE_SIZE }
        : { ...withoutVersion(parameters), limit: PAGE_SIZE, continue: next };
      const list = await api.requestList<T>({ method: "GET", path: withQuery(collection, page) }, signal);
      items.push(...list.items);
      next = list.metadata.continue ?? "";
      if (next === "") return { items, resourceVersion: list.metadata.resourceVersion ?? "" };
    } while (true);
  } catch (error) {
    if (!isGone(error) || next === "") throw error;
    const list = await api.requestList<T>({ method: "GET", path: withQuery(collection, parameters) }, signal);
    return { items: list.items, resourceVersion: list.metadata.resourceVersion ?? "" };
  }
}

/** Reports whether an error is 410: the requested version is older than the history. */
export function isGone(error: unknown): boolean {
  return error instanceof StatusError && (error.status.code === 410 || error.status.reason === "Expired");
}

/** Appends query parameters to a path, sorted as Go sorts them. */
export function withQuery(path: string, parameters: Readonly<Record<string, string>>): string {
  const query = new URLSearchParams(Object.entries(parameters));
  query.sort();
  const text = query.toString();
  return text === "" ? path : `${path}?${text}`;
}

function withoutVersion(parameters: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(parameters).filter(([key]) => key !== "resourceVersion"));
}
