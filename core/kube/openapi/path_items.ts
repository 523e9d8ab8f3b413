/** Operations put together by path, as OpenAPI wants them. */
import type { Parameter } from "./parameters.ts";
import type { Route } from "./route.ts";

/** What HTTP codes are called. */
export const ANSWERS: Readonly<Record<string, string>> = {
  200: "OK",
  201: "Created",
  202: "Accepted",
  401: "Unauthorized",
};

/** One path: its operations, and the parameters that all of them take. */
export interface PathItem {
  readonly path: string;
  readonly routes: readonly Route[];
  readonly common: readonly Parameter[];
}

const METHODS: readonly Route["method"][] = ["get", "put", "post", "delete", "patch"];

/** The paths in order, with their operations in Go's order. */
export function createPathItems(routes: readonly Route[]): readonly PathItem[] {
  const byPath = new Map<string, Route[]>();
  for (const route of routes) byPath.set(route.path, [...byPath.get(route.path) ?? [], route]);
  return [...byPath].sort(([a], [b]) => (a < b ? -1 : 1)).map(([path, own]) => ({
    path,
    routes: own.sort((a, b) => METHODS.indexOf(a.method) - METHODS.indexOf(b.method)),
    common: findCommonParameters(own),
  }));
}

/** What an operation takes beside the common parameters of its path. */
export function ownParameters(route: Route, common: readonly Parameter[]): readonly Parameter[] {
  return route.parameters.filter((parameter) => !common.some((one) => isSame(one, parameter))).sort(byName);
}

/** Orders parameters. */
export function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

/** Two parameters of one name are one parameter, whatever they say; the last operation's description is taken. */
function findCommonParameters(routes: readonly Route[]): readonly Parameter[] {
  const last = routes.at(-1)!;
  return last.parameters.filter((parameter) =>
    routes.every((route) => route.parameters.some((one) => isSame(one, parameter)))
  ).sort(byName);
}

function isSame(a: Parameter, b: Parameter): boolean {
  return a.name === b.name && a.in === b.in;
}

/** `1.37` of `v1.37.2+tlsboot.0.1.0`, as kube-apiserver labels its documents. */
export function apiVersionLabel(gitVersion: string): string {
  return /^v?(\d+\.\d+)/.exec(gitVersion)?.[1] ?? gitVersion;
}
