import config from "@payload-config";
import { headers } from "next/headers";
import { getPayload } from "payload";
import type { ReactNode } from "react";

// Each visit reads the dashboards anew; else they would be those of the day of the build.
export const dynamic = "force-dynamic";

export const metadata = { title: "Analytics" };

export default async function Layout({ children }: { children: ReactNode }) {
  const payload = await getPayload({ config });
  const { user } = await payload.auth({ headers: await headers() });
  return (
    <html lang="en">
      <body style={{ margin: 0, colorScheme: "light dark", background: "light-dark(#f7f7f5, #0e0f11)" }}>
        <main style={{ maxWidth: 1200, margin: "0 auto", padding: 24 }}>
          {user ? null : (
            <p style={{ margin: "0 0 12px", font: "14px sans-serif" }}>
              <a href="/admin/login?redirect=%2Fanalytics" style={{ color: "light-dark(#2350cc, #86a5ff)" }}>
                Sign in
              </a>
            </p>
          )}
          {children}
        </main>
      </body>
    </html>
  );
}
