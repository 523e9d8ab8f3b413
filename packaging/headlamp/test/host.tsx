/**
 * A page that loads the plugin as Headlamp does: with Headlamp's library as `pluginLib`, plain elements in the place of its
 * components, and the cluster behind `/clusters/main`. The sidebar and the routes are those that the plugin registers.
 */
import * as React from "react";
import { type ReactElement, type ReactNode, useEffect, useState } from "react";
import { createRoot } from "react-dom/client";
import * as ReactJSX from "react/jsx-runtime";

interface HostRoute {
  readonly path: string;
  readonly name: string;
  readonly component: () => ReactElement;
}

const routes: HostRoute[] = [];
const entries: { readonly label: string; readonly url: string }[] = [];

/** Rejects as Headlamp's `clusterRequest` does: with the status, and the text of status line and answer. */
async function request(path: string, { isJSON: _, ...options }: RequestInit & { isJSON: boolean }): Promise<Response> {
  const answer = await fetch(`/clusters/main${path}`, options);
  if (answer.ok) return answer;
  const { message } = await answer.json();
  throw Object.assign(new Error(`${answer.statusText} - ${message}`), { status: answer.status });
}

function findRoute(): { readonly route: HostRoute | undefined; readonly params: Record<string, string> } {
  const path = location.hash.slice(1) || entries[0]!.url;
  for (const route of routes) {
    const match = new RegExp(`^${route.path.replaceAll(/:(\w+)/g, "(?<$1>[^/]+)")}$`).exec(path);
    const params = Object.entries(match?.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]);
    if (match !== null) return { route, params: Object.fromEntries(params) };
  }
  return { route: undefined, params: {} };
}

interface Column {
  readonly label: string;
  readonly getter: (row: unknown) => ReactNode;
}

const CommonComponents = {
  SectionBox: ({ title, children }: { readonly title?: ReactNode; readonly children?: ReactNode }) => (
    <section>
      <h2>{title}</h2>
      {children}
    </section>
  ),
  SimpleTable: (props: {
    readonly columns: readonly Column[];
    readonly data: readonly unknown[] | null;
    readonly emptyMessage?: string;
  }) => (
    <table>
      <thead>
        <tr>{props.columns.map(({ label }) => <th key={label}>{label}</th>)}</tr>
      </thead>
      <tbody>
        {props.data?.map((row, at) => (
          <tr key={at}>{props.columns.map(({ label, getter }) => <td key={label}>{getter(row)}</td>)}</tr>
        ))}
        {props.data?.length === 0
          ? (
            <tr>
              <td>{props.emptyMessage}</td>
            </tr>
          )
          : null}
      </tbody>
    </table>
  ),
  NameValueTable: ({ rows }: { readonly rows: readonly { readonly name: string; readonly value: ReactNode }[] }) => (
    <dl>
      {rows.map(({ name, value }) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>{value}</dd>
        </div>
      ))}
    </dl>
  ),
  StatusLabel: ({ status, children }: { readonly status: string; readonly children?: ReactNode }) => (
    <strong className={status}>{children}</strong>
  ),
  Link: (props: {
    readonly routeName: string;
    readonly params?: Readonly<Record<string, string>>;
    readonly children?: ReactNode;
  }) => {
    const { path = "" } = routes.find(({ name }) => name === props.routeName) ?? {};
    const url = path.replaceAll(/:(\w+)/g, (_, key: string) => encodeURIComponent(props.params?.[key] ?? ""));
    return <a href={`#${url}`}>{props.children}</a>;
  },
};

const MuiMaterial = {
  Button: (props: { readonly disabled?: boolean; readonly onClick?: () => void; readonly children?: ReactNode }) => (
    <button type="button" disabled={props.disabled} onClick={props.onClick}>{props.children}</button>
  ),
  TextField: (props: {
    readonly label: string;
    readonly value: string;
    readonly onChange: React.ChangeEventHandler<HTMLInputElement>;
  }) => (
    <label>
      {props.label} <input value={props.value} onChange={props.onChange} />
    </label>
  ),
};

function Host(): ReactElement {
  const [, setHash] = useState(location.hash);
  useEffect(() => {
    const follow = () => setHash(location.hash);
    addEventListener("hashchange", follow);
    return () => removeEventListener("hashchange", follow);
  }, []);
  const Shown = findRoute().route?.component;
  return (
    <>
      <nav>{entries.map(({ label, url }) => <a key={url} href={`#${url}`}>{label}</a>)}</nav>
      <main>{Shown === undefined ? null : <Shown />}</main>
    </>
  );
}

Object.assign(globalThis, {
  pluginLib: {
    React,
    ReactJSX,
    ApiProxy: { request },
    CommonComponents,
    MuiMaterial,
    ReactRouter: { useParams: () => findRoute().params },
    registerRoute: (route: HostRoute) => void routes.push(route),
    registerSidebarEntry: (entry: { readonly label: string; readonly url: string }) => void entries.push(entry),
  },
});

const plugin = await (await fetch("/plugin/main.js")).text();
// Headlamp runs plugins in the same way.
new Function(plugin)();
createRoot(document.getElementById("root")!).render(<Host />);
