import { Icon } from './icon';

/** The cross of a toast. It stands apart, so that toasts need none of the parts that need toasts. */
export const IconButtonBare = ({ label, onClick }: { label: string; onClick: () => void }) => (
  <button type="button" aria-label={label} title={label} onClick={onClick}><Icon name="close" size={16} /></button>
);
