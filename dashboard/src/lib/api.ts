import { session } from "./session";
import type { Me } from "./types";

/** What went wrong, as the server's problem document says it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    /** Where in the query the trouble is, in characters from 0. */
    readonly column?: number,
    /** What the server suggests instead. */
    readonly hint?: string,
  ) {
    super(detail || title);
    this.name = "ApiError";
  }
}

export type Params = Record<string, string | number | readonly string[] | undefined>;

export function query(params: Params): string {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(params)) {
    if (value === undefined || value === "") continue;
    if (Array.isArray(value)) for (const element of value as string[]) search.append(key, element);
    else search.set(key, String(value));
  }
  const text = search.toString();
  return text && `?${text}`;
}

async function failure(response: Response): Promise<ApiError> {
  const body = (await response.json().catch(() => ({}))) as { title?: string; detail?: string; column?: number | null; hint?: string | null };
  return new ApiError(response.status, body.title ?? response.statusText, body.detail ?? "", body.column ?? undefined, body.hint ?? undefined);
}

async function call<T>(method: string, path: string, options: { params?: Params; body?: unknown; signal?: AbortSignal } = {}): Promise<T> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (options.body !== undefined) headers["Content-Type"] = "application/json";
  const csrf = session.get()?.csrf;
  if (method !== "GET" && csrf) headers["X-CSRF-Token"] = csrf;
  const init: RequestInit = { method, headers, credentials: "same-origin" };
  if (options.body !== undefined) init.body = JSON.stringify(options.body);
  if (options.signal) init.signal = options.signal;
  const response = await fetch(`/api/v1${path}${query(options.params ?? {})}`, init).catch((error: unknown) => {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError(0, "No connection", "The server does not answer. Is erne running?");
  });
  if (response.status === 401 && path !== "/login") session.set(null);
  if (!response.ok) throw await failure(response);
  return (response.status === 204 ? undefined : await response.json()) as T;
}

export const api = {
  /** The address of a download with its parameters. */
  href: (path: string, params: Params = {}) => `/api/v1${path}${query(params)}`,
  get: <T>(path: string, params: Params = {}, signal?: AbortSignal) => call<T>("GET", path, signal ? { params, signal } : { params }),
  post: <T>(path: string, body: unknown = {}, signal?: AbortSignal) => call<T>("POST", path, signal ? { body, signal } : { body }),
  put: <T>(path: string, body: unknown) => call<T>("PUT", path, { body }),
  delete: <T>(path: string) => call<T>("DELETE", path),
};

export async function login(user: string, password: string): Promise<Me> {
  const answer = await api.post<{ user: { name: string; role: Me["role"] }; csrf: string }>("/login", { user, password });
  const me = { ...answer.user, csrf: answer.csrf };
  session.set(me);
  return me;
}

export async function logout(): Promise<void> {
  await api.post("/logout").catch(() => undefined);
  session.set(null);
}

/** Asks once who is logged in; later calls answer from memory. */
export async function whoAmI(): Promise<Me | null> {
  const known = session.get();
  if (known !== undefined) return known;
  const me = await api.get<Me>("/me").catch((error: unknown) => {
    if (error instanceof ApiError && error.status === 401) return null;
    throw error;
  });
  session.set(me);
  return me;
}
