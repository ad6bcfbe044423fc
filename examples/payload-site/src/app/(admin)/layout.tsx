import type { ReactNode } from "react";

// Each visit reads the dashboards anew; else they would be those of the day of the build.
export const dynamic = "force-dynamic";

export const metadata = { title: "Analytics" };

export default function Layout({ children }: { children: ReactNode }) {
  return (
    <html lang="en">
      <body style={{ margin: 0, colorScheme: "light dark", background: "light-dark(#f7f7f5, #0e0f11)" }}>
        <main style={{ maxWidth: 1200, margin: "0 auto", padding: 24 }}>{children}</main>
      </body>
    </html>
  );
}
