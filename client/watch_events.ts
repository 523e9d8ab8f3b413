/** One event of a watch, decoded (`api-wire.md` §9.3). */
import { AppError } from "../core/errors.ts";
import type { KubeObject } from "../core/kube/meta.ts";
import { errorFromStatus } from "../core/kube/status.ts";
import { decodeApiObject } from "./api.ts";

/** What a watch tells. */
export type ReceivedWatchEvent<T> =
  | { readonly kind: "changed" | "deleted"; readonly object: T }
  /** Progress without a change; `initialEventsEnd` closes the first part of a watch-list. */
  | { readonly kind: "bookmark"; readonly resourceVersion: string; readonly initialEventsEnd: boolean };

/** The annotation of the bookmark that ends the initial events of a watch-list. */
const INITIAL_EVENTS_END = "k8s.io/initial-events-end";

/** Decodes an event; one of type ERROR throws what its Status says, such as 410 for a version that is gone. */
export function decodeWatchEvent<T extends KubeObject>(value: unknown): ReceivedWatchEvent<T> {
  const { type, object } = typeof value === "object" && value !== null
    ? value as { readonly type?: unknown; readonly object?: unknown } // both fields are checked below
    : {};
  switch (type) {
    case "ADDED":
    case "MODIFIED":
      return { kind: "changed", object: decodeApiObject<T>(object, "watch") };
    case "DELETED":
      return { kind: "deleted", object: decodeApiObject<T>(object, "watch") };
    case "BOOKMARK": {
      const { resourceVersion = "", annotations = {} } = decodeApiObject<T>(object, "watch").metadata;
      return { kind: "bookmark", resourceVersion, initialEventsEnd: annotations[INITIAL_EVENTS_END] === "true" };
    }
    case "ERROR":
      throw errorFromStatus(500, object);
    default:
      throw new AppError("api_error", `cannot read the watch: unknown event type ${JSON.stringify(type)}`);
  }
}
