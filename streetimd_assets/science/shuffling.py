"""What a fitted model predicts once features are shuffled, without asking it about every copy.

By the obvious loop each feature costs a prediction of every held-out LSOA. Here a linear model adds
what changed, trees are walked again only from the split where a row turns off, and support vectors
take the one changed distance as a power series: the answer is the same and comes many times sooner.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from streetimd_assets.science.estimators import Regressor

Array = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]
Orders = npt.NDArray[np.intp]
# from rows of features to predictions
Ask = Callable[[npt.NDArray[Any]], Array]

# beyond this reach a power series of doubles is less exact than a billionth
_FARTHEST = 8.0
# for all 33,755 LSOAs of England all 512 at once would take gigabytes
_FEATURES_AT_ONCE = 128


def shuffled_predictions(model: Regressor, values: Values, orders: Orders, groups: Orders | None = None) -> Array:
    """Predict with each group of features shuffled, its members together.

    Parameters
    ----------
    model
        A fitted model.
    values
        Features of the held-out LSOAs, shape (n_lsoas, n_features).
    orders
        Row numbers in shuffled order, shape (n_shuffles, n_lsoas).
    groups
        Number of the group of each feature, from 0, shape (n_features,); each a group of its own if left
        out.

    Returns
    -------
    predicted
        Shape (n_groups, n_shuffles, n_lsoas).
    """
    import lightgbm
    from sklearn.ensemble import RandomForestRegressor

    groups = np.arange(values.shape[1]) if groups is None else groups
    before = predictions(model, values)
    if isinstance(model, RandomForestRegressor | lightgbm.Booster):
        return before + _changes_of_trees(_trees(model), values, orders, groups)
    if _is_linear(model):
        parts = (values * _slopes(model, values.shape[1])) @ np.eye(groups.max() + 1)[groups]
        return before + (parts[orders] - parts).transpose(2, 0, 1)
    return _of_other_models(model, values, orders, groups)


def turned_predictions(model: Regressor, values: Values, orders: Orders, directions: Array) -> Array:
    """Predict with the scores along each direction shuffled, and all that is at right angles left as it is.

    An LSOA at x with score s = x·v that is given the score s′ of another moves to x + (s′ − s) v.

    Parameters
    ----------
    model, values, orders
        As in :func:`shuffled_predictions`.
    directions
        Directions v of unit length, shape (n_directions, n_features).

    Returns
    -------
    predicted
        Shape (n_directions, n_shuffles, n_lsoas).
    """
    scores = values @ directions.T
    moved = (scores[orders] - scores).transpose(2, 0, 1)
    if _is_linear(model):
        return predictions(model, values) + moved * (directions @ _slopes(model, values.shape[1]))[:, None, None]
    ask = _asking(model)
    rows = (values + steps[..., None] * v for steps, v in zip(moved, directions, strict=True))
    return np.stack([ask(copies.reshape(-1, values.shape[1])).reshape(orders.shape) for copies in rows])


def predictions(model: Any, rows: npt.NDArray[Any]) -> Array:
    """Predict, shape (n_rows,), whichever shape the model answers in."""
    return np.asarray(model.predict(rows), dtype=np.float64).ravel()


def _is_linear(model: Any) -> bool:
    """Return True for a pipeline that ends in a linear regression; its steps before it only scale."""
    return hasattr(model, "steps") and hasattr(model[-1], "coef_")


def _slopes(model: Any, n_features: int) -> Array:
    """Ask a linear model how much a unit of each feature adds, shape (n_features,)."""
    answers = predictions(model, np.vstack([np.zeros(n_features), np.eye(n_features)]))
    return np.asarray(answers[1:] - answers[0])


def _asking(model: Any) -> Ask:
    """Choose the shortest way to predict many rows: a kernel by matrix product instead of row by row."""
    machine = _SupportVectors.of(model)
    return machine.ask if machine else lambda rows: predictions(model, rows)


def _of_other_models(model: Any, values: Values, orders: Orders, groups: Orders) -> Array:
    """Predict copies of the rows, but single features of support vectors by series."""
    machine, ask = _SupportVectors.of(model), _asking(model)
    predicted = np.empty((groups.max() + 1, *orders.shape))
    todo = np.unique(groups)
    if machine and len(todo) == len(groups):
        is_near = machine.reach(values) < _FARTHEST
        near = np.flatnonzero(is_near)
        for start in range(0, len(near), _FEATURES_AT_ONCE):
            some = near[start : start + _FEATURES_AT_ONCE]
            predicted[groups[some]] = machine.by_series(values, orders, some)
        todo = groups[~is_near]
    for group in todo:
        members = np.flatnonzero(groups == group)
        copies = np.tile(values, (len(orders), 1))
        copies[:, members] = values[orders][..., members].reshape(-1, len(members))
        predicted[group] = ask(copies).reshape(orders.shape)
    return predicted


@dataclass(frozen=True, eq=False)
class _SupportVectors:
    """A fitted support vector regression with a Gaussian kernel, on scaled features and target."""

    scaler: Any
    machine: Any
    unit: Any

    @classmethod
    def of(cls, model: Any) -> "_SupportVectors | None":
        from sklearn.compose import TransformedTargetRegressor
        from sklearn.svm import SVR

        last = model[-1] if hasattr(model, "steps") else None
        if isinstance(last, TransformedTargetRegressor) and isinstance(last.regressor_, SVR):
            return cls(model[0], last.regressor_, last.transformer_)
        return None

    def ask(self, rows: npt.NDArray[Any]) -> Array:
        """Predict rows of unscaled features."""
        return self._unscaled(self._weights(self._scaled(rows)).sum(axis=1))

    def reach(self, values: Values) -> Array:
        """Largest exponent that shuffling each feature can bring into the series, shape (n_features,)."""
        farthest = np.abs(self.machine.support_vectors_).max(axis=0)
        return np.asarray(2 * self.machine.gamma * np.ptp(self._scaled(values), axis=0) * farthest)

    def by_series(self, values: Values, orders: Orders, features: Orders) -> Array:
        """Predict with single features shuffled, shape (n_of_features, n_shuffles, n_lsoas).

        Where only x of one feature changes, to x′, the kernel of a row and a support vector at t is
        multiplied by exp(-γ (x′² - x²)) exp(2γ (x′ - x) t). The second factor as a power series in t
        leaves sums over the support vectors that are the same for every shuffle.
        """
        scaled, gamma = self._scaled(values), self.machine.gamma
        weights, vectors = self._weights(scaled), self.machine.support_vectors_[:, features]
        old, new = scaled[:, features], scaled[:, features][orders]
        step = 2 * gamma * (new - old)
        total, power, term = np.zeros_like(step), np.ones_like(vectors), np.ones_like(step)
        for number in range(_n_terms(float(self.reach(values)[features].max()))):
            total += term * (weights @ power)
            power = power * vectors
            term = term * step / (number + 1)
        return self._unscaled(np.exp(-gamma * (new**2 - old**2)) * total).transpose(2, 0, 1)

    def _scaled(self, rows: npt.NDArray[Any]) -> Array:
        return np.asarray(self.scaler.transform(rows.astype(np.float64)))

    def _weights(self, scaled: Array) -> Array:
        """Weight of each support vector in each row, shape (n_rows, n_support_vectors)."""
        from sklearn.metrics.pairwise import rbf_kernel

        kernel = rbf_kernel(scaled, self.machine.support_vectors_, gamma=self.machine.gamma)
        return np.asarray(kernel * self.machine.dual_coef_)

    def _unscaled(self, sums: Array) -> Array:
        standard = (sums + self.machine.intercept_).reshape(-1, 1)
        return np.asarray(self.unit.inverse_transform(standard)).reshape(sums.shape)


def _n_terms(reach: float) -> int:
    """Terms of the exponential series after which no more than a trillionth is left."""
    number, term = 1, reach
    while term > 1e-12:
        number += 1
        term *= reach / number
    return number + 1


@dataclass(frozen=True, eq=False)
class _Tree:
    """A regression tree as arrays over its nodes; a leaf has no child (-1)."""

    feature: Orders
    threshold: Array
    left: Orders
    right: Orders
    value: Array

    def child(self, nodes: Orders, seen: Values) -> Orders:
        """Node below each, where `seen` is the value of its feature."""
        return np.where(seen <= self.threshold[nodes], self.left[nodes], self.right[nodes])


def _trees(model: Any) -> list[_Tree]:
    """Trees whose values add up to the prediction, but for a constant."""
    if hasattr(model, "dump_model"):
        return [_boosted(info["tree_structure"]) for info in model.dump_model()["tree_info"]]
    n_trees = len(model.estimators_)
    grown = [member.tree_ for member in model.estimators_]
    return [
        _Tree(t.feature, t.threshold, t.children_left, t.children_right, t.value[:, 0, 0] / n_trees) for t in grown
    ]


def _boosted(root: dict[str, Any]) -> _Tree:
    """Flatten LightGBM's nested description of a tree; there is nothing missing in our features."""
    nodes, children = [root], []
    for node in nodes:
        if "leaf_value" in node:
            children.append((-1, -1))
        else:
            children.append((len(nodes), len(nodes) + 1))
            nodes += [node["left_child"], node["right_child"]]
    left, right = np.array(children, dtype=np.intp).T
    return _Tree(
        np.array([node.get("split_feature", -1) for node in nodes], dtype=np.intp),
        np.array([node.get("threshold", 0.0) for node in nodes], dtype=np.float64),
        left,
        right,
        np.array([node.get("leaf_value", 0.0) for node in nodes], dtype=np.float64),
    )


def _changes_of_trees(trees: list[_Tree], values: Values, orders: Orders, groups: Orders) -> Array:
    """What shuffling each group adds to the prediction, shape (n_groups, n_shuffles, n_lsoas)."""
    changes = np.zeros((groups.max() + 1, *orders.shape))
    for tree in trees:
        leaves, nodes, (group, shuffle, row) = _turnings(tree, values, orders, groups)
        others = orders[shuffle, row]
        walking = np.flatnonzero(tree.left[nodes] >= 0)
        while len(walking):
            at = nodes[walking]
            feature = tree.feature[at]
            source = np.where(groups[feature] == group[walking], others[walking], row[walking])
            nodes[walking] = tree.child(at, values[source, feature])
            walking = walking[tree.left[nodes[walking]] >= 0]
        changes[group, shuffle, row] += tree.value[nodes] - tree.value[leaves[row]]
    return changes


def _turnings(
    tree: _Tree, values: Values, orders: Orders, groups: Orders
) -> tuple[Orders, Orders, tuple[Orders, Orders, Orders]]:
    """Walk each row down a tree, and note where shuffling a group first turns it off its way.

    Returns
    -------
    leaves
        Where each row ends unshuffled, shape (n_lsoas,).
    nodes
        The first node off its way, for each group, shuffle and row that turn.
    turned
        Group, shuffle and row of each; those of one tree are told once.
    """
    at, rows = np.zeros(len(values), dtype=np.intp), np.arange(len(values))
    has_turned = np.zeros((groups.max() + 1, *orders.shape), dtype=bool)
    found: list[tuple[Orders, ...]] = []
    while len(rows := rows[tree.left[at[rows]] >= 0]):
        here = at[rows]
        feature = tree.feature[here]
        at[rows] = tree.child(here, values[rows, feature])
        shuffled = tree.child(here, values[orders[:, rows], feature])
        shuffle, place = np.nonzero(shuffled != at[rows])
        turned = (groups[feature[place]], shuffle, rows[place])
        is_first = ~has_turned[turned]
        has_turned[turned] = True
        found.append(tuple(part[is_first] for part in (shuffled[shuffle, place], *turned)))
    empty = np.empty(0, dtype=np.intp)
    nodes, *turned_off = (
        (np.concatenate([empty, *parts]) for parts in zip(*found, strict=True)) if found else [empty] * 4
    )
    return at, nodes, (turned_off[0], turned_off[1], turned_off[2])
