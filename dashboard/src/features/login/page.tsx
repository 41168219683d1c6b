import { Button } from "@/components/ui/button";
import { Mark } from "@/components/ui/brand";
import { Field, Input } from "@/components/ui/input";
import { ApiError, login } from "@/lib/api";
import { useEffect, useState } from "react";

function messageOf(error: unknown): string {
  if (!(error instanceof ApiError)) return "Something went wrong. Try again.";
  if (error.status === 401) return "Wrong name or password.";
  if (error.status === 429) return "Too many attempts. Wait a moment, then try again.";
  return error.message;
}

export function LoginPage({ onDone }: { onDone: () => void }) {
  const [problem, setProblem] = useState("");
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    document.title = "Log in · Erne";
  }, []);
  const submit = async (event: React.FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    setBusy(true);
    setProblem("");
    try {
      await login(String(form.get("user")).trim(), String(form.get("password")));
      onDone();
    } catch (error) {
      setProblem(messageOf(error));
      setBusy(false);
    }
  };
  return (
    <main className="flex min-h-dvh items-center justify-center p-4">
      <div className="w-full max-w-88">
        <div className="mb-6 flex items-center gap-3">
          <Mark className="size-12" />
          <div>
            <h1 className="text-2xl leading-7 font-bold tracking-tight">Erne</h1>
            <p className="text-text3">Who is attacking, and how, within a second.</p>
          </div>
        </div>
        <form onSubmit={submit} className="grid gap-4 rounded-lg border bg-panel p-5">
          <Field label="Name">
            <Input name="user" autoComplete="username" required defaultValue="admin" className="h-9" />
          </Field>
          <Field label="Password">
            {/* The only field to fill in on a first visit. */}
            {/* oxlint-disable-next-line jsx-a11y/no-autofocus */}
            <Input name="password" type="password" autoComplete="current-password" required autoFocus className="h-9" aria-invalid={problem !== ""} aria-describedby="problem" />
          </Field>
          <p id="problem" role="alert" className={problem ? "rounded-md border border-sev-critical/40 bg-sev-critical/10 px-3 py-2 text-sm text-text" : "sr-only"}>
            {problem}
          </p>
          <Button type="submit" variant="primary" size="lg" disabled={busy}>
            {busy ? "Logging in…" : "Log in"}
          </Button>
        </form>
        <p className="mt-4 text-xs leading-5 text-text3">
          First time? Erne made a password for <span className="mono text-text2">admin</span> and printed it once, in the terminal where <span className="mono text-text2">erne run</span> or <span className="mono text-text2">erne demo</span> first started.
        </p>
      </div>
    </main>
  );
}
