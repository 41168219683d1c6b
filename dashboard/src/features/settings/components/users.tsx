import { Problem } from "@/components/ui/bits";
import { Button } from "@/components/ui/button";
import { Field, Input } from "@/components/ui/input";
import { Choice } from "@/components/ui/menu";
import { Dialog } from "@/components/ui/overlay";
import { api } from "@/lib/api";
import { session } from "@/lib/session";
import { useStore } from "@/lib/store";
import { dateTime } from "@/lib/time";
import type { Listed, Role, User } from "@/lib/types";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { Trash2, UserPlus } from "lucide-react";
import { useState } from "react";
import { toast } from "sonner";
import { SettingsCard } from "./settings-card";

const ROLES = [
  { value: "viewer", label: "Viewer: reads" },
  { value: "analyst", label: "Analyst: also triages" },
  { value: "admin", label: "Admin: also manages users and keys" },
] as const satisfies readonly { value: Role; label: string }[];

export function Users() {
  const me = useStore(session);
  const client = useQueryClient();
  const query = useQuery({ queryKey: ["users"], queryFn: ({ signal }) => api.get<Listed<User>>("/users", {}, signal) });
  const [editing, setEditing] = useState<User | "new" | null>(null);
  const remove = useMutation({
    mutationFn: (name: string) => api.delete(`/users/${encodeURIComponent(name)}`),
    onSuccess: (_, name) => {
      toast.success(`User ${name} deleted`);
      return client.invalidateQueries({ queryKey: ["users"] });
    },
    onError: (error) => toast.error("The user was not deleted", { description: error.message }),
  });
  return (
    <SettingsCard
      title="Users"
      aside={
        <Button size="sm" onClick={() => setEditing("new")}>
          <UserPlus /> New user
        </Button>
      }
    >
      {query.error && <Problem error={query.error} retry={() => void query.refetch()} />}
      <ul className="divide-y">
        {query.data?.items.map((user) => (
          <li key={user.name} className="flex flex-wrap items-center gap-3 py-2 first:pt-0 last:pb-0">
            <span className="min-w-32 flex-1 truncate font-medium">
              {user.name} {user.name === me?.name && <span className="text-xs font-normal text-text3">(you)</span>}
            </span>
            <span className="w-20 text-xs text-text2">{user.role}</span>
            <span className="text-xs text-text3">since {dateTime(user.created).slice(0, 10)}</span>
            <Button size="sm" onClick={() => setEditing(user)}>
              Change
            </Button>
            <Button size="iconSm" variant="ghost" disabled={user.name === me?.name} aria-label={`Delete ${user.name}`} onClick={() => confirm(`Delete the user ${user.name}? Their sessions end at once.`) && remove.mutate(user.name)}>
              <Trash2 />
            </Button>
          </li>
        ))}
      </ul>
      <Dialog open={editing !== null} onOpenChange={(open) => !open && setEditing(null)} title={editing === "new" ? "New user" : `Change ${editing?.name ?? ""}`}>
        {editing && <UserForm user={editing === "new" ? null : editing} onDone={() => setEditing(null)} />}
      </Dialog>
    </SettingsCard>
  );
}

function UserForm({ user, onDone }: { user: User | null; onDone: () => void }) {
  const client = useQueryClient();
  const [role, setRole] = useState<Role>(user?.role ?? "analyst");
  const save = useMutation({
    mutationFn: ({ name, password }: { name: string; password: string }) => api.put(`/users/${encodeURIComponent(name)}`, { role, ...(password ? { password } : {}) }),
    onSuccess: () => {
      toast.success("User saved");
      onDone();
      return client.invalidateQueries({ queryKey: ["users"] });
    },
    onError: (error) => toast.error("The user was not saved", { description: error.message }),
  });
  return (
    <form
      className="grid gap-4"
      onSubmit={(event) => {
        event.preventDefault();
        const data = new FormData(event.currentTarget);
        save.mutate({ name: user?.name ?? String(data.get("name")).trim(), password: String(data.get("password")) });
      }}
    >
      {!user && (
        <Field label="Name">
          <Input name="name" required autoComplete="off" maxLength={64} pattern="[A-Za-z0-9._@\-]+" title="letters, digits and . _ @ -" />
        </Field>
      )}
      <div className="grid gap-1.5 text-xs font-medium text-text2">
        Role
        <Choice label="Role" value={role} options={ROLES} onChange={setRole} />
      </div>
      <Field label={user ? "New password" : "Password"} hint={user ? "Empty: stays as it is." : "At least 12 characters."}>
        <Input name="password" type="password" autoComplete="new-password" required={!user} minLength={12} />
      </Field>
      <Button type="submit" variant="primary" disabled={save.isPending}>
        Save
      </Button>
    </form>
  );
}
