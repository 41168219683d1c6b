import { LoginPage } from "@/features/login/page";
import { useNavigate, useRouter, useSearch } from "@tanstack/react-router";
import { safeReturn } from "../search";

export function LoginRoute() {
  const navigate = useNavigate();
  const router = useRouter();
  const search = useSearch({ from: "/login" });
  return (
    <LoginPage
      onDone={() => {
        const target = safeReturn(search.return);
        if (target === "/") void navigate({ to: "/" });
        else router.history.push(target);
      }}
    />
  );
}
