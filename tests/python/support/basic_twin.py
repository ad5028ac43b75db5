"""BaSiC in numpy and float64, written down from its equations: obvious, not fast.

Works on frames that have their final size already; (frames, z, y, x).
"""
import dataclasses

import numpy as np
from scipy.fft import dctn, idctn

DEFAULTS = dict(fitting_mode="ladmap", get_darkfield=False, smoothness_flatfield=1.0, smoothness_darkfield=1.0,
                sparse_cost_darkfield=0.01, epsilon=0.1, max_iterations=500, max_reweight_iterations=10,
                max_reweight_iterations_baseline=5, rho=1.5, mu_coef=12.5, max_mu_coef=1e7, optimization_tol=1e-3,
                optimization_tol_diff=1e-2, reweighting_tol=1e-2, sort_intensity=False)


@dataclasses.dataclass
class Fit:
    flatfield: np.ndarray
    darkfield: np.ndarray
    baseline: np.ndarray
    iterations: list
    closest_call: float  # the smallest |log(value / tolerance)| of all decisions to go on or to stop


def shrink(x, threshold):
    return np.sign(x) * np.maximum(np.abs(x) - threshold, 0)


def smooth(x, threshold):
    return idctn(shrink(dctn(x, norm="ortho"), threshold), norm="ortho")


def norm(x):
    return np.sqrt(np.sum(np.square(x)))


def column(b):
    """A value per frame, against the pixels."""
    return b[:, None, None, None]


class Twin:
    def __init__(self, images, weights=None, **options):
        self.o = o = {**DEFAULTS, **options}
        self.unsorted = images.astype(np.float64)
        given = np.ones_like(self.unsorted) if weights is None else weights.astype(np.float64)
        self.unsorted_weights = given if np.ptp(given) == 0 else (given - given.min()) / np.ptp(given)
        self.I, self.given = self.unsorted, self.unsorted_weights
        if o["sort_intensity"]:
            order = np.argsort(self.I, axis=0, kind="stable")
            self.I = np.take_along_axis(self.I, order, 0)
            self.given = np.take_along_axis(self.given, order, 0)
        self.T, self.P = len(images), images[0].size
        sigma = np.linalg.svd(self.I.reshape(self.T, self.P), compute_uv=False)[0]
        self.mu0 = o["mu_coef"] / sigma
        self.ladmap = o["fitting_mode"] == "ladmap"
        self.l_s, self.l_d, self.l_sp = (o["smoothness_flatfield"], o["smoothness_darkfield"], o["sparse_cost_darkfield"])
        if self.ladmap:
            self.mu0 /= self.T * self.P
        else:
            relative = self.I.mean(0) / self.I.mean()
            self.l_s = o["smoothness_flatfield"] * np.abs(dctn(relative, norm="ortho")).sum() / 800
            self.l_d = self.l_s * o["smoothness_darkfield"] / 2.5
            self.l_sp = self.l_d * o["sparse_cost_darkfield"] * 100
        self.norm = norm(self.I)
        self.closest_call = np.inf

    def exceeds(self, value, tolerance):
        if value > 0:
            self.closest_call = min(self.closest_call, abs(np.log(value / tolerance)))
        return value > tolerance

    def iterate(self, step):
        """Calls step(mu) -> (F, change) until a solve ends; returns the number of iterations."""
        o, mu, k = self.o, self.mu0, 0
        while True:
            misfit, change, mu = step(mu)
            k += 1
            far = self.exceeds(norm(misfit) / self.norm, o["optimization_tol"])
            moving = self.exceeds(change / self.norm, o["optimization_tol_diff"])
            if not (k < o["max_iterations"] and (far or moving)):
                return k

    def next_mu(self, mu):
        return min(self.o["rho"] * mu, self.mu0 * self.o["max_mu_coef"])

    def solve_ladmap(self, W, W_D):
        I, T = self.I, self.T
        v = dict(S=np.median(I, axis=0), B=np.ones(T), D_R=np.zeros_like(I[0]), D_Z=0.0, E=np.zeros_like(I),
                 L=np.zeros_like(I))

        def step(mu):
            S, B, D_R, D_Z, E, L = (v[k] for k in ("S", "B", "D_R", "D_Z", "E", "L"))
            model = column(B) * S + D_R + D_Z
            eta = 1.02 * np.sum(B ** 2) + 0.01
            S_new = S + np.sum(column(B) * (I - model - E + L / mu), axis=0) / eta
            S_new = smooth(S_new, self.l_s / (eta * mu))
            if S_new.min() < 0:
                S_new = S_new - S_new.min()
            dS, S = norm(S_new - S), S_new
            E_new = shrink(I - column(B) * S - D_R - D_Z + L / mu, W / (mu * T))
            dE, E = norm(E_new - E), E_new
            R, q = I - E, np.sum(S ** 2)
            B_new = np.sum(S * (R + L / mu), axis=(1, 2, 3)) / q if q > 0 else B
            B_new = np.maximum(B_new, 0)
            m = B_new.mean()
            if m > 0:
                B_new, S = B_new / m, S * m
            dB, B = norm(B_new - B), B_new
            changes = [dS * np.sqrt(eta), dE, dB]
            if self.o["get_darkfield"]:
                z = np.mean(I - column(B) * S - D_R - E + L / (2 * mu))
                z = min(max(z, 0), I.min())
                dz, D_Z = z - D_Z, z
                eta_D = 1.02 * T
                D_new = D_R + np.sum(I - column(B) * S - D_R - D_Z - E + L / mu, axis=0) / eta_D
                D_new = shrink(smooth(D_new, self.l_d / (eta_D * mu)), self.l_sp * W_D / (eta_D * mu))
                changes += [norm(D_new - D_R) * np.sqrt(eta_D), dz ** 2]
                D_R = D_new
            F = R - (column(B) * S + D_R + D_Z)
            v.update(S=S, B=B, D_R=D_R, D_Z=D_Z, E=E, L=L + mu * F)
            return F, max(changes), self.next_mu(mu)
        return v, self.iterate(step)

    def solve_approximate(self, W):
        I, T = self.I, self.T
        v = dict(S=np.zeros_like(I[0]), B=np.ones(T), D_R=np.zeros_like(I[0]), D_Z=0.0, E=np.zeros_like(I),
                 L=np.zeros_like(I))

        def step(mu):
            S, B, D_R, D_Z, E, L = (v[k] for k in ("S", "B", "D_R", "D_Z", "E", "L"))
            model = column(B) * S + D_R + D_Z
            S = smooth(S + np.mean(I - model - E + L / mu, axis=0), self.l_s / mu)
            model = column(B) * S + D_R + D_Z
            E = shrink(I - model + L / mu, W / mu)
            R = I - E
            B = np.maximum(R.mean(axis=(1, 2, 3)) / R.mean(), 0)
            if self.o["get_darkfield"]:
                low, mean = B < 1, S.mean()
                inside, outside = S > mean * (1 - 1e-6), S < mean * (1 + 1e-6)
                A = np.nan_to_num((np.sum(R * inside, axis=(1, 2, 3)) / (T * inside.sum())
                                   - np.sum(R * outside, axis=(1, 2, 3)) / (T * outside.sum())) / R.mean())
                b2, b1, a1, ba = (np.sum(low * x) for x in (B ** 2, B, A, B * A))
                n = low.sum()
                D_Z = (b2 * a1 - b1 * ba) / (b1 * a1 - ba * n + 1e-6)
                D_Z = min(max(D_Z, 0), I.min() / mean)
                tilt = D_Z * (mean - S)
                D_R = np.sum(column(low) * R, axis=0) / n - b1 / n * S
                D_R = D_R - D_R.mean() - tilt
                D_R = shrink(smooth(D_R, self.l_d / (10 * mu)), self.l_sp / (10 * mu)) + tilt
            F = R - model
            v.update(S=S, B=B, D_R=D_R, D_Z=D_Z, E=E, L=L + mu * F)
            return F, 0, self.next_mu(mu)
        return v, self.iterate(step)

    def solve_baseline(self, S, D, W):
        I, T = self.unsorted, self.T
        v = dict(B=np.ones(T) if self.ladmap else I.mean(axis=(1, 2, 3)), E=np.zeros_like(I), L=np.zeros_like(I))

        def step(mu):
            model = column(v["B"]) * S + D
            E = shrink(I - model + v["L"] / mu, W / (mu * T if self.ladmap else mu))
            if self.ladmap:
                B = np.maximum(np.sum(S * (I - E + v["L"] / mu), axis=(1, 2, 3)) / np.sum(S ** 2), 0)
                F = I - E - (column(B) * S + D)
                change = max(norm(E - v["E"]), norm(B - v["B"]))
            else:
                B = np.maximum(np.mean(I - E, axis=(1, 2, 3)) - D.mean(), 0)
                F, change = I - model - E, 0
            v.update(B=B, E=E, L=v["L"] + mu * F)
            return F, change, self.next_mu(mu)
        return v, self.iterate(step)

    def fit(self):
        o, eps, iterations = self.o, self.o["epsilon"], []
        W, W_D, before = self.given, np.ones_like(self.I[0]), None
        for _ in range(o["max_reweight_iterations"]):
            v, k = self.solve_ladmap(W, W_D) if self.ladmap else self.solve_approximate(W)
            iterations.append(k)
            S, B = v["S"], v["B"]
            D = v["D_R"] + v["D_Z"] * (1 if self.ladmap else 1 + S)
            mean = S.mean()
            S, B = S / mean, B * mean
            model = column(B) * S + D
            if self.ladmap:
                W = 1 / (np.abs(v["E"] / (model + eps)) + eps)
            else:
                W = 1 / (np.abs(v["E"] / (model.mean(axis=(1, 2, 3), keepdims=True) + 1e-6)) + eps)
            W = W / W.mean() * self.given
            W_D = 1 / (np.abs(v["D_R"]) + eps)
            W_D = W_D / W_D.mean()
            if before is not None:
                score = np.abs(S - before[0]).sum() / np.abs(before[0]).sum()
                if o["get_darkfield"]:
                    score = max(score, np.abs(D - before[1]).sum() / max(np.abs(before[1]).sum(), 1))
                if not self.exceeds(score, o["reweighting_tol"]):
                    break
            before = S, D
        if o["sort_intensity"]:
            for _ in range(o["max_reweight_iterations_baseline"]):
                v, k = self.solve_baseline(S, D, W)
                iterations.append(k)
                B = v["B"]
                model = column(B) * S + D
                if self.ladmap:
                    W = 1 / (np.abs(v["E"] / (model + eps)) + eps)
                else:
                    W = 1 / (np.abs(model.mean(axis=(1, 2, 3), keepdims=True) / (v["E"] + 1e-6)) + eps)
                W = W / W.mean() * self.unsorted_weights
        return Fit(S, D, B, iterations, self.closest_call)
