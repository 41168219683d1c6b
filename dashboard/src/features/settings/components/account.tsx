import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/input";
import { api } from "@/lib/api";
import { session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { useMutation } from "@tanstack/react-query";
import { useRef } from "react";
import { toast } from "sonner";
import { SettingsCard } from "./settings-card";

const PASSWORD_LENGTH_MIN = 12;

export function Account() {
  const me = useStore(session);
  const form = useRef<HTMLFormElement>(null);
  const change = useMutation({
    mutationFn: (body: { current: string; new: string }) => api.post("/me/password", body),
    onSuccess: () => {
      form.current?.reset();
      toast.success("Password changed", { description: "Your other sessions have ended." });
    },
    onError: (error) => toast.error("The password was not changed", { description: error.message }),
  });
  return (
    <SettingsCard title="My password" about={`You are logged in as ${me?.name ?? "…"} (${me?.role ?? "…"}).`}>
      <form
        ref={form}
        className="grid max-w-sm gap-4"
        onSubmit={(event) => {
          event.preventDefault();
          const data = new FormData(event.currentTarget);
          if (data.get("new") !== data.get("again")) return void toast.error("The two new passwords differ");
          change.mutate({ current: String(data.get("current")), new: String(data.get("new")) });
        }}
      >
        <input type="hidden" name="username" autoComplete="username" value={me?.name ?? ""} readOnly />
        <Field label="Current password">
          <Input name="current" type="password" autoComplete="current-password" required />
        </Field>
        <Field label="New password" hint={`At least ${PASSWORD_LENGTH_MIN} characters.`}>
          <Input name="new" type="password" autoComplete="new-password" required minLength={PASSWORD_LENGTH_MIN} />
        </Field>
        <Field label="New password again">
          <Input name="again" type="password" autoComplete="new-password" required minLength={PASSWORD_LENGTH_MIN} />
        </Field>
        <Button type="submit" variant="primary" disabled={change.isPending} className="justify-self-start">
          Change password
        </Button>
      </form>
    </SettingsCard>
  );
}
